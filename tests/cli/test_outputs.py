import gzip
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt.cli.outputs import make_folder, open_output
from nmt.core.errors import DataError


def test_a_file_is_written_as_utf_8_with_line_feeds(tmp_path: Path) -> None:
    with open_output(tmp_path / "out.txt") as stream:
        stream.write("größte\n")
    assert (tmp_path / "out.txt").read_bytes() == "größte\n".encode()
    assert os.listdir(tmp_path) == ["out.txt"]


def write_members(path: Path, *texts: str, keep: int = 0) -> bytes:
    with open_output(path, keep=keep) as stream:
        for text in texts:
            stream.write(text)
            stream.flush()
    return path.read_bytes()


def test_a_name_in_gz_is_compressed(tmp_path: Path) -> None:
    path = tmp_path / "out.gz"
    content = write_members(path, "größte\n", "", "\ud800\n")
    assert gzip.decompress(content) == "größte\n?\n".encode()
    first = write_members(path, "größte\n")
    assert content.startswith(first), "what is flushed is a member by itself"
    assert write_members(path) == write_members(path, "") != b""
    assert gzip.decompress(path.read_bytes()) == b"", "nothing, and yet a gzip file"


def test_a_compressed_file_that_is_gone_on_with_is_as_if_unbroken(tmp_path: Path) -> None:
    whole = write_members(tmp_path / "whole.gz", "one\n", "two\n")
    begun = write_members(tmp_path / "out.gz", "one\n")
    (tmp_path / "out.gz").rename(tmp_path / "out.gz.partial")
    assert write_members(tmp_path / "out.gz", "two\n", keep=len(begun)) == whole
    (tmp_path / "out.gz").rename(tmp_path / "out.gz.partial")
    assert write_members(tmp_path / "out.gz", keep=len(whole)) == whole, "no member more"


def test_what_was_finished_is_a_gzip_file_too(tmp_path: Path) -> None:
    output = open_output(tmp_path / "out.gz")
    output.__enter__().write("half\n")
    assert not output.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert gzip.decompress((tmp_path / "out.gz.partial").read_bytes()) == b"half\n"
    (tmp_path / "out.gz.partial").unlink()
    with pytest.raises(ZeroDivisionError), open_output(tmp_path / "out.gz"):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


def test_without_a_path_it_is_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with open_output(None) as stream:
        stream.write("line\n")
    assert not sys.stdout.closed
    assert capsys.readouterr().out == "line\n"


def test_an_existing_file_is_whole_until_its_successor_is(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("precious\n")
    with open_output(path) as stream:
        stream.write("new\n")
        stream.flush()
        assert path.read_text() == "precious\n"
    assert path.read_text() == "new\n"


def test_what_was_finished_when_the_work_broke_off_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.txt"
    path.write_text("precious\n")
    output = open_output(path)
    output.__enter__().write("half\n")
    assert not output.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert path.read_text() == "precious\n"
    assert (tmp_path / "out.txt.partial").read_text() == "half\n"
    assert "nmt: what was finished is in" in capsys.readouterr().err


def test_nothing_is_left_where_nothing_was_finished(tmp_path: Path) -> None:
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
    with pytest.raises(DataError, match="is a folder, where a file is to be written"):
        open_output(tmp_path).__enter__()


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"out\.txt: its folder does not exist; make it first"):
        open_output(tmp_path / "no" / "out.txt").__enter__()


def test_a_folder_without_permission_is_refused(
    tmp_path: Path, forbid: Callable[[Path, str], None]
) -> None:
    forbid(tmp_path, "write")
    with pytest.raises(DataError, match=r"out\.txt: cannot be written: Permission denied"):
        open_output(tmp_path / "out.txt").__enter__()


def test_a_name_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written: File name too long"):
        open_output(tmp_path / ("x" * 300)).__enter__()


def test_a_folder_is_made_or_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("precious\n")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DataError, match=f"{path}: a file is in the way; give another folder"):
            make_folder(path)
    with pytest.raises(DataError, match="cannot make the folder: File name too long"):
        make_folder(tmp_path / ("x" * 300))
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(DataError, match="no permission to write in this folder"):
        make_folder(tmp_path)
