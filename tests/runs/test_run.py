import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.config.decoding import DecodingConfig
from nmt.config.experiment import Config
from nmt.core.errors import ConfigError, RunError
from nmt.runs.run import Run, RunDirectory, _Entry

CONFIG = "version: 1\nrun: x\ndata: {}\ntokenizer: {}\nmodel: {}\ntraining: {}\ndecoding: {}\n"


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run that has been trained, with a file of somebody else in it."""
    run = RunDirectory(tmp_path / "run")
    run.checkpoint("best").mkdir(parents=True)
    (run.checkpoint("best") / "weights").touch()
    run.shared_tokenizer.mkdir(parents=True)
    run.config.write_text(CONFIG)
    (run.path / "notes.txt").write_text("mine")
    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_paths_are_inside_and_different() -> None:
    run = RunDirectory(Path("runs/x"))
    paths = [
        getattr(run, name) for name, entry in vars(RunDirectory).items() if type(entry) is _Entry
    ]
    assert len(paths) == len(set(paths)) >= 12
    assert all(path.is_relative_to("runs/x") for path in paths)
    assert run.checkpoint("best") == Path("runs/x/checkpoints/best")


def test_configuration_is_replaced_whole(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.write_config(CONFIG + "seed: 2\n")
    assert run.config.read_text() == CONFIG + "seed: 2\n"

    def killed(beside: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        run.write_config("half")
    assert run.config.read_text() == CONFIG + "seed: 2\n"


class TestCreate:
    def test_makes_the_folder_and_its_parents(self, tmp_path: Path) -> None:
        assert RunDirectory.create(tmp_path / "a" / "b").path.is_dir()

    def test_takes_an_empty_folder_or_one_without_anything_of_a_run(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").touch()
        assert RunDirectory.create(tmp_path).path == tmp_path

    def test_refuses_a_run_that_exists(self, run: RunDirectory) -> None:
        before = contents(run.path)
        message = r"run: already holds a run; --resume continues it, --overwrite deletes it"
        with pytest.raises(RunError, match=message):
            RunDirectory.create(run.path)
        assert contents(run.path) == before

    def test_overwrite_only_deletes_files_of_the_run(self, run: RunDirectory) -> None:
        RunDirectory.create(run.path, overwrite=True)
        assert contents(run.path) == {str(run.path / "notes.txt"): b"mine"}

    def test_overwrite_does_not_follow_links(self, run: RunDirectory, tmp_path: Path) -> None:
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "precious").touch()
        run.cache.symlink_to(tmp_path / "cache")
        RunDirectory.create(run.path, overwrite=True)
        assert not run.cache.exists()
        assert (tmp_path / "cache" / "precious").exists()

    @pytest.mark.parametrize("config", ["version: 2\nservices: {}\n", "[", "", "\xff"])
    @pytest.mark.parametrize("overwrite", [True, False])
    def test_overwrite_never_deletes_another_folder(
        self, tmp_path: Path, config: str, overwrite: bool
    ) -> None:
        (tmp_path / "config.yaml").write_text(config, encoding="latin-1")
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "precious").touch()
        before = contents(tmp_path)
        with pytest.raises(
            RunError, match=r"not a run that can be resumed, but it contains 'cache'; move it away"
        ):
            RunDirectory.create(tmp_path, overwrite=overwrite)
        assert contents(tmp_path) == before

    def test_overwrite_deletes_no_run_with_a_broken_configuration(self, run: RunDirectory) -> None:
        run.config.write_text(CONFIG + "x: [\n")
        before = contents(run.path)
        with pytest.raises(ConfigError, match=r"config\.yaml: line 9: not YAML"):
            RunDirectory.create(run.path, overwrite=True)
        assert contents(run.path) == before

    def test_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("mine")
        for path in (tmp_path / "x", tmp_path / "x" / "y"):
            for overwrite in (True, False):
                with pytest.raises(
                    RunError, match=r"a file has this name; choose another run=PATH"
                ):
                    RunDirectory.create(path, overwrite=overwrite)
        assert (tmp_path / "x").read_text() == "mine"

    def test_name_that_no_folder_can_have(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match=r"File name too long: .*/xxx"):
            RunDirectory.create(tmp_path / ("x" * 300))

    def test_file_that_cannot_be_deleted_is_named(
        self, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: Path) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr("shutil.rmtree", refuse)
        with pytest.raises(PermissionError, match=r"checkpoints'$"):
            RunDirectory.create(run.path, overwrite=True)
        assert run.config.exists()

    def test_resume_does_not_change_the_folder(self, run: RunDirectory) -> None:
        before = contents(run.path)
        assert RunDirectory.create(run.path, resume=True) == run
        assert contents(run.path) == before

    def test_resume_needs_a_run(self, tmp_path: Path) -> None:
        message = "leave --resume out to start a run"
        with pytest.raises(RunError, match=f"gone: no such folder; {message}"):
            RunDirectory.create(tmp_path / "gone", resume=True)
        assert not (tmp_path / "gone").exists()
        with pytest.raises(RunError, match=rf"has no config\.yaml; {message}"):
            RunDirectory.create(tmp_path, resume=True)


class TestOpen:
    def test_run(self, run: RunDirectory) -> None:
        assert RunDirectory.open(str(run.path)) == run

    def test_run_with_two_tokenizers(self, run: RunDirectory) -> None:
        run.shared_tokenizer.rmdir()
        run.source_tokenizer.mkdir()
        with pytest.raises(RunError, match="tokenizer is missing"):
            RunDirectory.open(run.path)
        run.target_tokenizer.mkdir()
        assert RunDirectory.open(run.path) == run

    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"gone: no such folder; name the folder"):
            RunDirectory.open(tmp_path / "gone")

    def test_file_in_place_of_a_run_is_refused(self, run: RunDirectory) -> None:
        with pytest.raises(RunError, match=r"config\.yaml: is not a folder; name the folder"):
            RunDirectory.open(run.config)

    def test_folder_that_is_not_a_run_is_refused(self, run: RunDirectory) -> None:
        with pytest.raises(RunError, match=r"checkpoints: has no config\.yaml; name the folder"):
            RunDirectory.open(run.checkpoints)
        run.config.write_text("a: 1\n")
        with pytest.raises(RunError, match=r"config\.yaml: not the configuration of a run"):
            RunDirectory.open(run.path)

    def test_missing_tokenizer(self, run: RunDirectory) -> None:
        run.shared_tokenizer.rmdir()
        with pytest.raises(RunError, match=r"tokenizer: the run's tokenizer is missing; .* copy"):
            RunDirectory.open(run.path)

    def test_no_permission(self, run: RunDirectory, forbid: Callable[[Path], None]) -> None:
        forbid(run.path)
        with pytest.raises(PermissionError, match=r"run'$"):
            RunDirectory.open(run.path)


def test_one_process_at_a_time_trains_in_a_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    with run.held():
        error = "another process works in this folder; wait for it, or end it"
        with pytest.raises(RunError, match=error), RunDirectory(tmp_path).held():
            pass
    with run.held():
        pass


def test_file_system_without_locks_is_supported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("nmt.system.files.fcntl.flock", refuse)
    with RunDirectory(tmp_path).held():
        pass


def test_too_many_open_files_is_not_reported_as_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)

    def refuse(*arguments: Any, **options: Any) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("nmt.runs.run.read_regular", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        RunDirectory.open(tmp_path)


CORPUS = {"source": "a", "target": "b"}
OPEN = Config.model_validate(
    {"run": "x", "data": {"train": CORPUS, "valid": CORPUS}, "decoding": {"beam_size": 3}}
)


@pytest.fixture
def opened(tmp_path: Path) -> Run:
    return Run(RunDirectory(tmp_path), OPEN)


def test_open_run_is_used_unchanged(opened: Run) -> None:
    assert Run.of(opened, None) is opened


@pytest.mark.parametrize("decoding", [{"beam_size": 5}, DecodingConfig(beam_size=5)])
def test_an_open_run_takes_no_options(opened: Run, decoding: DecodingConfig) -> None:
    with pytest.raises(
        ConfigError, match=r"decoding: cannot be changed in an open run; .* to Run\.open"
    ):
        Run.of(opened, decoding)


def test_an_open_run_takes_no_plugins(opened: Run) -> None:
    with pytest.raises(ConfigError, match=r"^plugins: cannot be changed in an open run; .*\.open"):
        Run.of(opened, None, ["score.py"])


def test_options_of_decoding_are_replaced(opened: Run) -> None:
    changed = opened.with_decoding(DecodingConfig(beam_size=7))
    assert (changed.config.decoding.beam_size, opened.config.decoding.beam_size) == (7, 3)
    assert changed.folder == opened.folder
