import gzip
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from nmt.cli.attention_outputs import open_arrays
from nmt.cli.outputs import (
    check_files,
    find_descriptor,
    is_stream,
    lock_output,
    open_folder,
    open_output,
)
from nmt.core.errors import DataError
from nmt.runs.run import Run, RunDirectory


def test_a_file_is_written_as_utf_8_with_line_feeds(tmp_path: Path) -> None:
    with open_output(tmp_path / "out.txt") as stream:
        stream.write("größte\n")
    assert (tmp_path / "out.txt").read_bytes() == "größte\n".encode()
    assert os.listdir(tmp_path) == ["out.txt"]


def write_parts(path: Path, *texts: str) -> bytes:
    with open_output(path) as stream:
        for text in texts:
            stream.write(text)
            stream.flush()
    return path.read_bytes()


def test_a_name_in_gz_is_compressed(tmp_path: Path) -> None:
    path = tmp_path / "out.gz"
    content = write_parts(path, "größte\n", "", "\ud800\n")
    assert gzip.decompress(content) == "größte\n?\n".encode()
    assert write_parts(path, "größte\n", "", "\ud800\n") == content, "no name and no time"
    assert write_parts(path) != b""
    assert gzip.decompress(path.read_bytes()) == b"", "nothing, and yet a gzip file"


def test_partial_gzip_output_is_valid(tmp_path: Path) -> None:
    output = open_output(tmp_path / "out.gz")
    output.__enter__().write("half\n")
    assert not output.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert gzip.decompress((tmp_path / "out.gz.partial").read_bytes()) == b"half\n"


def test_a_kept_partial_file_is_appended_to(tmp_path: Path) -> None:
    (tmp_path / "out.partial").write_text("one\n")
    with open_output(tmp_path / "out", keep=True) as stream:
        stream.write("two\n")
    assert (tmp_path / "out").read_text() == "one\ntwo\n"
    (tmp_path / "out.partial").write_text("one\n")
    with open_output(tmp_path / "out") as stream:
        stream.write("two\n")
    assert (tmp_path / "out").read_text() == "two\n"


def test_without_a_path_it_is_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with open_output(None) as stream:
        stream.write("line\n")
    assert not sys.stdout.closed
    assert capsys.readouterr().out == "line\n"


def test_existing_file_is_replaced_only_by_a_complete_one(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("precious\n")
    with open_output(path) as stream:
        stream.write("new\n")
        stream.flush()
        assert path.read_text() == "precious\n"
    assert path.read_text() == "new\n"


def test_partial_output_is_kept_after_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.txt"
    path.write_text("precious\n")
    output = open_output(path)
    output.__enter__().write("half\n")
    assert not output.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert path.read_text() == "precious\n"
    assert (tmp_path / "out.txt.partial").read_text() == "half\n"
    assert "nmt: the finished part is in" in capsys.readouterr().err


def test_no_file_is_left_if_nothing_was_finished(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_output(tmp_path / "out.txt"):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old\n")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    with open_output(tmp_path / "link.txt") as stream:
        stream.write("new\n")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new\n"


def test_a_device_is_written_to_and_not_replaced() -> None:
    with open_output(Path(os.devnull)) as stream:
        stream.write("gone\n")
    assert Path(os.devnull).is_char_device()


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder; give a file name"):
        open_output(tmp_path).__enter__()


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"out\.txt: its folder does not exist; create it first"):
        open_output(tmp_path / "no" / "out.txt").__enter__()


def test_a_folder_without_permission_is_refused(
    tmp_path: Path, forbid: Callable[[Path, str], None]
) -> None:
    forbid(tmp_path, "write")
    with pytest.raises(DataError, match=r"out\.txt: cannot be written: Permission denied"):
        open_output(tmp_path / "out.txt").__enter__()


def test_invalid_file_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written: File name too long"):
        open_output(tmp_path / ("x" * 300)).__enter__()


def test_output_folder_is_created_or_refused_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_folder(tmp_path / "a" / "b"):
        pass
    with open_folder(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
        with pytest.raises(DataError, match="b: is being written by another process"):
            open_folder(tmp_path / "a" / "b").__enter__()
    (tmp_path / "file").write_text("precious\n")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DataError, match=f"{path}: is not a folder; choose another one"):
            open_folder(path).__enter__()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(DataError, match="no permission to write in this folder"):
        open_folder(tmp_path).__enter__()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The two ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize(
    ("name", "descriptor"),
    [
        ("/dev/stdout", 1),
        ("/dev/stderr", 2),
        ("/dev/fd/63", 63),
        ("/proc/self/fd/7", 7),
        ("/proc/{pid}/fd/7", 7),
        ("/dev/../dev/fd/3", 3),
        ("/dev/null", None),
        ("/proc/self/status", None),
        ("1", None),
        ("fd/1", None),
    ],
)
def test_names_of_descriptors(name: str, descriptor: int | None) -> None:
    name = name.format(pid=os.getpid())  # here, as each process of the tests has another
    assert find_descriptor(Path(name)) == descriptor


def test_link_changed_during_the_write_does_not_redirect_it(tmp_path: Path) -> None:
    link, first, second = (tmp_path / name for name in ("link", "first", "second"))
    second.write_text("kept")
    link.symlink_to(first)
    with open_output(link) as stream:
        stream.write("new")
        link.unlink()
        link.symlink_to(second)
    assert (first.read_text(), second.read_text()) == ("new", "kept")


def test_circular_links_are_not_streams(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert not is_stream(tmp_path / "a")


def test_files_folders_and_missing_paths_are_not_streams(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    assert not any(is_stream(tmp_path / name) for name in ("file", ".", "missing", "a/b"))
    assert is_stream(tmp_path / "fifo")
    assert is_stream(Path(os.devnull))


def test_descriptor_is_written_at_its_offset_line_by_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    with log.open("ab") as file, open_output(Path(f"/dev/fd/{file.fileno()}")) as stream:
        stream.write("größte\n")
        assert log.read_text() == "before\ngrößte\n", "a line is there as soon as it is written"
        file.write(b"from elsewhere\n")
        file.flush()
        stream.write("last")
    assert log.read_text() == "before\ngrößte\nfrom elsewhere\nlast"
    assert os.listdir(tmp_path) == ["log"]


def test_a_pipe_is_written_through(pipe: tuple[int, int]) -> None:
    with open_output(Path(f"/proc/self/fd/{pipe[1]}")) as stream:
        stream.write("line\n")
    assert os.read(pipe[0], 100) == b"line\n"
    os.write(pipe[1], b"the descriptor itself stays open\n")


def test_stdout_is_the_current_sys_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    print("one")
    with open_output(Path("/dev/stdout")) as stream:
        stream.write("two\n")
        print("three")
    print("four")
    assert capsys.readouterr().out == "one\ntwo\nthree\nfour\n"


def test_arrays_go_into_a_named_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    with open_arrays(fifo) as append:
        append("line_1", np.ones((2, 3)))
    reader.join()
    assert np.load(io.BytesIO(read[0]))["line_1"].tolist() == [[1.0] * 3] * 2
    assert os.listdir(tmp_path) == ["fifo"]


def test_arrays_are_appended_to_existing_ones(tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("ab") as file,
        open_arrays(Path(f"/dev/fd/{file.fileno()}")) as append,
    ):
        append("line_1", np.ones((2, 3)))
    assert np.load(tmp_path / "log")["line_1"].sum() == 6


def test_a_descriptor_that_is_not_open_is_refused() -> None:
    with pytest.raises(DataError, match="/dev/fd/999: cannot be written: Bad file descriptor"):
        open_output(Path("/dev/fd/999")).__enter__()


def test_output_is_incomplete_if_the_reader_of_another_stops(
    tmp_path: Path,
) -> None:
    ends = os.pipe()
    os.close(ends[0])

    def write() -> None:
        with (
            open_output(tmp_path / "out") as output,
            open_output(Path(f"/dev/fd/{ends[1]}")) as stream,
        ):
            output.write("line\n")
            stream.write("line\n")

    with pytest.raises(DataError, match="out: incomplete, because the program that read the oth"):
        write()
    os.close(ends[1])
    assert os.listdir(tmp_path) == ["out.partial"]


def test_input_descriptor_is_refused_as_output(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("mine")
    with (tmp_path / "in.txt").open() as file:
        place = Path(f"/dev/fd/{file.fileno()}")
        with pytest.raises(DataError, match="is only open for reading; choose"), open_output(place):
            pass


def run_of(folder: Path, *inputs: Path) -> Run:
    """A run with nothing but what the checks of files ask it for."""
    config = SimpleNamespace(input_paths=lambda: dict(enumerate(map(str, inputs))))
    return cast(Run, SimpleNamespace(folder=RunDirectory(folder), config=config))


def test_output_cannot_replace_its_input(tmp_path: Path) -> None:
    one, other, another = tmp_path / "one", tmp_path / "other", tmp_path / "another"
    another.touch()
    check_files({"-o": one}, [another, None])
    check_files({"-o": Path(os.devnull)}, [os.devnull])
    other.symlink_to(one)
    for path in (one, str(tmp_path / "." / "one"), other):
        with pytest.raises(
            DataError, match=f"-o {one}: is also an input; choose another output file"
        ):
            check_files({"-o": one}, [another, path])


def test_two_results_need_two_files(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    check_files({"-o": one, "--json": other, "--more": None, "--still-more": None}, [])
    check_files({"-o": Path(os.devnull), "--json": Path(os.devnull)}, [])
    other.symlink_to(one)
    for path in (one, tmp_path / "." / "one", other):
        with pytest.raises(DataError, match=f"--json {path}: is also -o; choose another output"):
            check_files({"-o": one, "--json": path}, [])


def test_input_is_recognised_through_links(tmp_path: Path) -> None:
    read, hard, soft = tmp_path / "corpus", tmp_path / "hard", tmp_path / "soft"
    read.write_text("precious\n")
    os.link(read, hard)
    soft.symlink_to(hard)
    for path in (hard, soft):
        with pytest.raises(DataError, match=f"-o {path}: is also an input"):
            check_files({"-o": path}, [read])


@pytest.mark.parametrize("suffix", [".partial", ".state"])
def test_partial_and_state_files_cannot_be_inputs_or_outputs(suffix: str, tmp_path: Path) -> None:
    beside = tmp_path / f"out{suffix}"
    with pytest.raises(DataError, match="out: is also an input"):
        check_files({"-o": tmp_path / "out"}, [beside])
    with pytest.raises(DataError, match=f"--json {beside}: is also -o"):
        check_files({"-o": tmp_path / "out", "--json": beside}, [])


def test_inputs_of_a_run_are_not_overwritten_by_outputs(tmp_path: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    run = run_of(tmp_path / "run", tmp_path / "tokenizer", tmp_path / "corpus")
    for name in ("tokenizer/model", "corpus"):
        with pytest.raises(DataError, match=f"{name}: is also an input"):
            check_files({"-o": tmp_path / name}, [], run)
    check_files({"-o": tmp_path / "tokenizers"}, [], run)


def test_inputs_of_a_run_are_not_overwritten(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (tmp_path / "link").symlink_to(run / "checkpoints")
    for name in ("run/config.yaml", "run/metrics.jsonl", "run/lexicon/x", "link/best", "run/cache"):
        with pytest.raises(DataError, match=f"{name}: is also part of the run {run}; choose"):
            check_files({"-o": tmp_path / name}, [], run_of(run))
        with pytest.raises(DataError, match=f"{name}: is also part of the run {run}; choose"):
            check_files({"-o": tmp_path / name}, [], others=[run])
    for name in ("run/plots", "run/translations/news.de", "run/out.de", "cache/out.de", "config"):
        check_files({"-o": tmp_path / name}, [], run_of(run))


def test_unreadable_input_is_refused_early(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    os.mkfifo(tmp_path / "pipe")
    check_files({}, [tmp_path / "there", tmp_path / "pipe", "/dev/stdin", None])
    with pytest.raises(DataError, match=r"missing\.txt: no such file"):
        check_files({}, [tmp_path / "there", tmp_path / "missing.txt"])
    with pytest.raises(DataError, match="is a folder; give a file"):
        check_files({}, [tmp_path])


def test_output_of_another_process_is_refused_without_a_trace(tmp_path: Path) -> None:
    path, link = tmp_path / "out", tmp_path / "link"
    link.symlink_to(path)
    with lock_output(path):
        for given in (path, link):
            with pytest.raises(
                DataError, match=f"{given}: is being written by another process; wait"
            ):
                lock_output(given).__enter__()
            with pytest.raises(
                DataError, match=f"{given}: is being written by another process; wait"
            ):
                open_output(given).__enter__()
        with open_output(tmp_path / "other") as stream:
            stream.write("line\n")
        path.with_name("out.partial").rename(path)
    with open_output(path) as stream:
        stream.write("line\n")
    assert sorted(os.listdir(tmp_path)) == ["link", "other", "out"]


def test_killed_process_releases_its_output(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nmt.cli.outputs import lock_output\n"
        "with lock_output(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "out")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(DataError, match="is being written by another process"):
            open_output(tmp_path / "out").__enter__()
        process.kill()
        process.wait()
    with open_output(tmp_path / "out") as stream:
        stream.write("line\n")
    assert os.listdir(tmp_path) == ["out"]


def test_file_renamed_before_the_lock_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process renames its file between the opening of it here and the lock."""
    path, partial = tmp_path / "out", tmp_path / "out.partial"
    partial.write_text("whole\n")
    num_locked = []

    def lock_late(descriptor: int) -> bool:
        num_locked.append(descriptor)
        if len(num_locked) == 1:
            partial.rename(path)
        return True

    monkeypatch.setattr("nmt.cli.outputs.lock", lock_late)
    with open_output(path) as stream:
        stream.write("new\n")
        stream.flush()
        assert path.read_text() == "whole\n"
    assert path.read_text() == "new\n"
    assert len(num_locked) == 2


def test_the_partial_file_of_another_process_is_not_removed(tmp_path: Path) -> None:
    partial = tmp_path / "out.partial"

    def fail(content: str | None) -> None:
        with lock_output(tmp_path / "out"):
            partial.unlink()  # as an export does where it fails
            if content is not None:
                partial.write_text(content)
            raise DataError("failed")

    for content in ("of another process\n", "", None):
        with pytest.raises(DataError, match="failed"):
            fail(content)
        assert partial.exists() == (content is not None)


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_pipe_or_a_link_in_the_place_of_the_partial_file_is_replaced(
    kind: str, tmp_path: Path
) -> None:
    partial = tmp_path / "out.partial"
    (tmp_path / "precious").write_text("mine\n")
    if kind == "pipe":
        os.mkfifo(partial)
    else:
        partial.symlink_to("precious")
    with open_output(tmp_path / "out") as stream:
        stream.write("line\n")
    assert sorted(os.listdir(tmp_path)) == ["out", "precious"]
    assert (tmp_path / "precious").read_text() == "mine\n"
