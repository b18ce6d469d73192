import os
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.cli.output_locks import held, refuse_overwriting, reserve_outputs
from nmt.core.errors import DataError


def test_a_result_does_not_go_where_it_is_made_from(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    refuse_overwriting({"-o": one}, [other, None])
    refuse_overwriting({"-o": Path(os.devnull)}, [os.devnull])
    other.symlink_to(one)
    for path in (one, str(tmp_path / "." / "one"), other):
        with pytest.raises(
            DataError, match=f"-o {one}: is also an input; choose another output file"
        ):
            refuse_overwriting({"-o": one}, ["another", path])


def test_two_results_need_two_files(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    refuse_overwriting({"-o": one, "--json": other, "--more": None, "--still-more": None})
    refuse_overwriting({"-o": Path(os.devnull), "--json": Path(os.devnull)})
    other.symlink_to(one)
    for path in (one, tmp_path / "." / "one", other):
        with pytest.raises(DataError, match=f"-o and --json are both {path}: give two files"):
            refuse_overwriting({"-o": one, "--json": path})


def test_an_input_is_recognised_by_every_name_it_has(tmp_path: Path) -> None:
    read, hard, soft = tmp_path / "corpus", tmp_path / "hard", tmp_path / "soft"
    read.write_text("precious\n")
    os.link(read, hard)
    soft.symlink_to(hard)
    for path in (hard, soft):
        with pytest.raises(DataError, match=f"-o {path}: is also an input"):
            refuse_overwriting({"-o": path}, [read])


@pytest.mark.parametrize("suffix", [".partial", ".state"])
def test_what_lies_beside_an_output_meanwhile_is_no_input_and_no_other_output(
    suffix: str, tmp_path: Path
) -> None:
    beside = tmp_path / f"out{suffix}"
    with pytest.raises(DataError, match="out: is also an input"):
        refuse_overwriting({"-o": tmp_path / "out"}, [beside])
    with pytest.raises(DataError, match="-o and --json are both"):
        refuse_overwriting({"-o": tmp_path / "out", "--json": beside})


def test_an_output_is_not_inside_a_folder_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    with pytest.raises(DataError, match="model: is also an input"):
        refuse_overwriting({"-o": tmp_path / "tokenizer" / "model"}, [tmp_path / "tokenizer"])
    refuse_overwriting({"-o": tmp_path / "tokenizers"}, [tmp_path / "tokenizer"])


def test_what_a_run_is_made_of_is_not_overwritten(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (tmp_path / "link").symlink_to(run / "checkpoints")
    for name in ("run/config.yaml", "run/metrics.jsonl", "run/lexicon/x", "link/best", "run/cache"):
        with pytest.raises(DataError, match=f"{name}: belongs to the run {run}; choose another"):
            refuse_overwriting({"-o": tmp_path / name}, runs=[run])
    for name in ("run/plots", "run/translations/news.de", "run/out.de", "cache/out.de", "config"):
        refuse_overwriting({"-o": tmp_path / name}, runs=[run])


def test_an_output_that_another_writes_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    path, link, folder = tmp_path / "out", tmp_path / "link", tmp_path / "folder"
    link.symlink_to(path)
    folder.mkdir()
    with reserve_outputs({"-o": path, "--plot": folder}):
        for argument, given in (("--json", path), ("-o", link), ("--plot", folder)):
            with (
                pytest.raises(DataError, match=f"{argument} {given}: another process is writing"),
                reserve_outputs({argument: given}),
            ):
                pass
        with reserve_outputs({"-o": tmp_path / "other", "--json": Path(os.devnull)}):
            pass
    with reserve_outputs({"-o": path, "--plot": folder}):
        pass
    assert sorted(os.listdir(tmp_path)) == ["folder", "link"]


def test_a_killed_process_holds_no_output(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nmt.cli.output_locks import held\n"
        "with held('-o', Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "out")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with (
            pytest.raises(DataError, match="another process is writing it"),
            held("-o", tmp_path / "out"),
        ):
            pass
        process.kill()
        process.wait()
        with held("-o", tmp_path / "out"):
            pass
    assert os.listdir(tmp_path) == []


def test_a_lock_cannot_be_made_where_nothing_can_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=r"no/out: its folder does not exist; make it first"),
        held("-o", tmp_path / "no" / "out"),
    ):
        pass


def test_a_pipe_in_the_place_of_the_lock_blocks_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".out.nmt-lock")
    with held("-o", tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []
