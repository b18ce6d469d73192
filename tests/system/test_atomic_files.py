"""What is written beside and renamed: the place holds the old or the new, never half of it."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from nmt.system.atomic_files import (
    atomic_folder,
    atomic_write,
    is_missing,
    partial_path,
    sibling_folders,
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


@pytest.mark.parametrize(
    ("keep", "content", "left"),
    [
        (False, "half", ["a.txt"]),
        (True, "half", ["a.txt", "a.txt.partial"]),
        (True, "", ["a.txt"]),
        (True, None, ["a.txt"]),  # the file could not even be opened
    ],
)
def test_exception_leaves_the_previous_file(
    tmp_path: Path, keep: bool, content: str | None, left: list[str]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def break_off() -> None:
        with atomic_write(path, keep_partial=keep) as partial:
            if content is not None:
                partial.write_text(content)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert path.read_text() == "old"
    assert names(tmp_path) == left


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
