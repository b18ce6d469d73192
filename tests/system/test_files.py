"""Files: written whole or not at all, and refused unless regular and of bounded size."""

import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from nmt.system.files import (
    CHECKSUM_PLACEHOLDER,
    atomic_folder,
    atomic_write,
    is_missing,
    open_regular,
    parse_json,
    partial_path,
    read_regular,
    sibling_folders,
    verify_checksum,
    write_checksum,
    write_flushed,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_file_is_renamed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as partial:
        assert partial == partial_path(path) == tmp_path / "a.txt.partial"
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("make", [os.mkfifo, partial(os.symlink, "precious")])
def test_a_pipe_or_a_link_under_the_partial_name_is_replaced(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    (tmp_path / "precious").write_text("mine")
    make(tmp_path / "a.txt.partial")
    write_text(tmp_path / "a.txt", "new")
    assert not (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "a.txt").read_text() == "new"
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("content", ["half", "", None])  # None: could not even be opened
def test_exception_leaves_the_previous_file(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def break_off() -> None:
        with atomic_write(path) as partial:
            if content is not None:
                partial.write_text(content)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_folder_replaces_the_previous_one_at_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "parent" / "a"
    for content in ("old", "new"):
        for place in sibling_folders(folder):  # what a process that was killed has left
            place.mkdir(parents=True)
            (place / "rest").touch()
        with atomic_folder(folder) as fresh:
            assert names(fresh) == []
            assert not folder.exists() or names(folder) == ["old"]
            (fresh / content).touch()
        assert names(folder) == [content]
    assert names(folder.parent) == ["a"]


def test_exception_leaves_the_previous_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "old").touch()

    def break_off() -> None:
        with atomic_folder(folder) as fresh:
            (fresh / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert names(folder) == ["old"]
    assert names(tmp_path) == ["a"]


def test_is_missing_is_false_for_a_path_that_cannot_be_examined(
    tmp_path: Path, forbid: Callable[[Path], None]
) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("gone")
    assert not is_missing(tmp_path) and not is_missing(tmp_path / "a")
    for name in ("b", "b/c", "link"):
        assert is_missing(tmp_path / name)
    for name in ("a\0", "a/b", "x" * 300):  # no name of anything; whoever opens it says why
        assert not is_missing(tmp_path / name)
    forbid(tmp_path)
    assert not is_missing(tmp_path / "a") and not is_missing(tmp_path / "b")


def test_write_flushed_syncs_the_file_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(os.fstat(file).st_ino))
    write_flushed(tmp_path / "a", b"content")
    assert (tmp_path / "a").read_bytes() == b"content"
    assert flushed == [(tmp_path / "a").stat().st_ino]


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
        assert refusal(Path("socket")) == "No such device or address"
    assert refusal(Path("fifo")) == refusal(Path("/dev/zero")) == "not a regular file"
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


def test_changed_file_does_not_match_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = b"before" + CHECKSUM_PLACEHOLDER.encode() + b"after"
    path.write_bytes(content)
    assert not verify_checksum(path)
    write_checksum(path)
    assert verify_checksum(path)
    sealed = path.read_bytes()
    assert (
        len(sealed) == len(content) and sealed.startswith(b"before") and sealed.endswith(b"after")
    )
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert not verify_checksum(path), place
    path.write_bytes(sealed[:-1])
    assert not verify_checksum(path)


@pytest.mark.parametrize("content", [b"", b"nothing of it"])
def test_file_without_a_checksum_does_not_verify(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert not verify_checksum(tmp_path / "file")
