import logging
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from nmt.config.experiment import Config
from nmt.runs.plugin_copies import used_plugins, warn_about_changes, write_copies
from nmt.system.plugins import allowed
from tests.integration.test_plugins import OUTSIDE


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """A configuration with one plug-in from outside, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penalty.py").write_bytes((OUTSIDE / "length_penalty.py").read_bytes())
    with allowed(["penalty.py"]):
        yield configure("penalty.py:PowerPenalty")


def configure(name: str) -> Config:
    files = {"source": "a", "target": "b"}
    given = {"train": files, "valid": files}
    return Config.model_validate({"run": "r", "data": given, "decoding": {"length_penalty": name}})


def test_a_copy_has_name_hash_and_content(config: Config, tmp_path: Path) -> None:
    content = Path("penalty.py").read_bytes()
    folder = tmp_path / "copies"
    write_copies(folder, config)
    write_copies(folder, config)
    (copy,) = folder.iterdir()
    assert copy.name == f"penalty.py-{sha256(content).hexdigest()}.txt"
    assert copy.read_bytes() == content
    assert [source.name for source in used_plugins(config)] == ["penalty.py"]


def test_without_plugins_there_is_no_folder(tmp_path: Path) -> None:
    write_copies(tmp_path / "copies", configure("average"))
    assert not (tmp_path / "copies").exists()


def test_a_change_is_a_warning_with_both_hashes_once(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "copies"
    write_copies(folder, config)
    warn_about_changes(folder, config)
    before = sha256(Path("penalty.py").read_bytes()).hexdigest()
    assert caplog.messages == []
    Path("new").mkdir()
    changed = (OUTSIDE / "length_penalty.py").read_bytes() + b"# changed\\n"
    Path("new/penalty.py").write_bytes(changed)
    with allowed(["new/penalty.py"]), caplog.at_level(logging.WARNING):
        now = configure("new/penalty.py:PowerPenalty")
        for _ in range(2):
            warn_about_changes(folder, now)
        hashes = sha256(changed).hexdigest(), before
        assert caplog.messages == [
            f"penalty.py: SHA-256 {hashes[0]} differs from that in {folder} ({hashes[1]}); it is "
            "used as it is now"
        ]
        write_copies(folder, now)
        warn_about_changes(folder, now)
    assert len(list(folder.iterdir())) == 2
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("left", [(), ("other.py-123.txt", "noise", "penalty.txt")])
def test_lost_copies_are_no_error(
    config: Config, tmp_path: Path, left: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "copies").mkdir()
    for name in left:
        (tmp_path / "copies" / name).touch()
    warn_about_changes(tmp_path / "copies", config)
    warn_about_changes(tmp_path / "missing", config)
    assert caplog.messages == []
