import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from nmt.cli.output_streams import find_descriptor, is_stream, open_text_stream
from nmt.cli.outputs import open_arrays, open_output
from nmt.core.errors import DataError


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
def test_names_of_descriptors(name: str, descriptor: int | None, tmp_path: Path) -> None:
    name = name.format(pid=os.getpid())  # here, as each process of the tests has another
    assert find_descriptor(Path(name)) == descriptor
    (tmp_path / "one").symlink_to(name)
    (tmp_path / "two").symlink_to("one")
    expected = descriptor if name.startswith("/") else None
    assert find_descriptor(tmp_path / "two") == expected


def test_links_in_a_circle_name_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert not is_stream(tmp_path / "a")


def test_files_folders_and_what_is_not_there_are_no_streams(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    assert not any(is_stream(tmp_path / name) for name in ("file", ".", "missing", "a/b"))
    assert is_stream(tmp_path / "fifo")
    assert is_stream(Path(os.devnull))


def test_a_descriptor_is_written_at_its_place_line_by_line(tmp_path: Path) -> None:
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


def test_stdout_is_what_the_program_prints_to(capsys: pytest.CaptureFixture[str]) -> None:
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
    with open_arrays(fifo, "line_{}") as append:
        append(np.ones((2, 3)))
    reader.join()
    assert np.load(io.BytesIO(read[0]))["line_1"].tolist() == [[1.0] * 3] * 2
    assert os.listdir(tmp_path) == ["fifo"]


def test_arrays_are_appended_to_what_is_there(tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("ab") as file,
        open_arrays(Path(f"/dev/fd/{file.fileno()}"), "line_{}") as append,
    ):
        append(np.ones((2, 3)))
    assert np.load(tmp_path / "log")["line_1"].sum() == 6


def test_a_descriptor_that_is_not_open_is_refused() -> None:
    with pytest.raises(DataError, match="/dev/fd/999: cannot be written: Bad file descriptor"):
        open_output(Path("/dev/fd/999")).__enter__()


def test_a_file_stays_incomplete_where_the_reader_of_another_output_has_gone(
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

    with pytest.raises(DataError, match="out: is incomplete, as the program that reads"):
        write()
    os.close(ends[1])
    assert os.listdir(tmp_path) == ["out.partial"]


def test_a_descriptor_that_is_read_from_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("mine")
    with (tmp_path / "in.txt").open() as file:
        place = Path(f"/dev/fd/{file.fileno()}")
        with pytest.raises(DataError, match="is open for reading only"), open_text_stream(place):
            pass
