import argparse
import gzip
import io
import os
import threading
from pathlib import Path

import pytest

from nmt.commands.text import add_pair_arguments, read_given_pairs, read_input
from nmt.errors import DataError


def give_stdin(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(raw))))


def pairs_of(source: Path, target: Path) -> list[tuple[str, str]]:
    parser = argparse.ArgumentParser()
    add_pair_arguments(parser)
    arguments = parser.parse_args(["--source", str(source), "--target", str(target)])
    return list(read_given_pairs(arguments))


@pytest.mark.parametrize("names", [[], ["-"]])
def test_no_names_or_a_dash_is_stdin(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    give_stdin(monkeypatch, "eins\r\n\nzwölf".encode())
    assert list(read_input(names)) == ["eins", "", "zwölf"]


def test_files_follow_one_another_plain_or_compressed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"3\n4\n"))
    assert list(read_input([str(tmp_path / "a"), str(tmp_path / "b.gz")])) == ["1", "2", "3", "4"]


def test_stdin_may_be_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    give_stdin(monkeypatch, gzip.compress(b"3\n4\n"))
    assert list(read_input([])) == ["3", "4"]
    give_stdin(monkeypatch, gzip.compress(b"3\n4\n" * 1000)[:-9])
    with pytest.raises(DataError, match="stdin: the gzip data is damaged or cut short"):
        list(read_input(["-"]))


def test_no_line_is_refused_and_the_damage_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    give_stdin(monkeypatch, b"good\nb\xffd\nn\0l\n\xef\xbb\xbfx\n")
    lines = list(read_input([]))
    assert lines[:3] == ["good", "b\N{REPLACEMENT CHARACTER}d", "n\N{REPLACEMENT CHARACTER}l"]
    assert len(lines) == 4
    assert "stdin, line 2, byte 6" in caplog.text
    assert "stdin, line 3, byte 10" in caplog.text


def test_a_file_that_cannot_be_opened_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.txt: no such file"):
        read_input(["-", str(tmp_path / "missing.txt")])
    with pytest.raises(DataError, match="is a folder, where a file is needed"):
        read_input([str(tmp_path)])


def test_a_named_pipe_is_opened_only_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("through\n",))
    writer.start()
    assert list(read_input([str(pipe)])) == ["through"]
    writer.join()


def test_pairs_are_read_line_for_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n")
    (tmp_path / "b").write_text("eins\nzwei\n")
    assert pairs_of(tmp_path / "a", tmp_path / "b") == [("1", "eins"), ("2", "zwei")]


def test_pairs_that_do_not_correspond_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n")
    (tmp_path / "b").write_text("eins\n")
    with pytest.raises(DataError, match=r"has 2 lines, .* has 1"):
        pairs_of(tmp_path / "a", tmp_path / "b")
    with pytest.raises(DataError, match="no such file"):
        pairs_of(tmp_path / "a", tmp_path / "c")


def test_a_file_that_is_no_text_does_not_flood_the_terminal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    give_stdin(monkeypatch, b"\xff\n" * 1000)
    assert len(list(read_input([]))) == 1000
    assert len(caplog.records) == 11
    assert "there are more such lines; they are not named" in caplog.text
