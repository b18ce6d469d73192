"""Files of strangers: what is not a regular file of bounded size is refused, without waiting."""

import os
import socket
import sys
from pathlib import Path

import pytest

from nmt.system.untrusted_files import open_regular, parse_json, read_regular


def refusal(path: Path, max_bytes: int = 10) -> str:
    with pytest.raises(OSError, match=r".") as caught:
        read_regular(path, max_bytes)
    assert caught.value.strerror is not None
    return caught.value.strerror


def test_reads_a_regular_file_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to(path)
    assert read_regular(path, 10) == read_regular(tmp_path / "link", 10) == b"0123456789"
    assert refusal(path, 9) == "larger than 9 bytes, the limit here"
    with open_regular(path) as file:
        assert file.read(3) == b"012"


def test_refuses_a_sparse_file_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(20 * 10**9)
    assert refusal(path, 2**20) == "larger than 1,048,576 bytes, the limit here"


def test_refuses_content_over_the_limit_in_a_file_without_a_size() -> None:
    path = Path("/proc/self/maps")  # regular, and its size is told as 0
    if not path.exists():
        pytest.skip("no /proc on this system")
    assert refusal(path, 10) == "larger than 10 bytes, the limit here"


def test_refuses_special_files_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert refusal(Path("socket")) == "a socket, not a regular file"
    assert refusal(Path("fifo")) == "a named pipe, not a regular file"
    assert refusal(Path("/dev/zero")) == "a device, not a regular file"
    assert refusal(tmp_path) == "Is a directory"
    (tmp_path / "dangling").symlink_to("nowhere")
    assert refusal(Path("dangling")) == refusal(Path("missing")) == "No such file or directory"


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_invalid_file_name_is_an_os_error(name: str) -> None:
    assert refusal(Path(name)) == "not a valid file name"


def test_leaves_no_file_open(tmp_path: Path) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not sys.platform.startswith("linux"):
        pytest.skip("no /proc on this system")
    (tmp_path / "a").write_bytes(b"too long")
    before = count()
    for path in (tmp_path, tmp_path / "a", Path("/dev/zero")):
        refusal(path, 1)
    read_regular(tmp_path / "a", 8)
    assert count() == before


def test_parses_json() -> None:
    assert parse_json(b'{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
    assert parse_json("[" * 90 + "]" * 90)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[1,]",
        b"1" * 5000,
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"a": 1, "a": 1}',
    ],
)
def test_invalid_json_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(content)
