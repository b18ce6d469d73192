import gzip
import io
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from nmt.cli.inputs import PairArguments, add_constraints, count_input, read_input, read_text
from nmt.config.experiment import Config
from nmt.core.errors import DataError, UserError
from nmt.data.formats.grids import Source
from nmt.inference.inputs import Input

FILES = {"source": "a", "target": "b"}
GRID_FILES = {"grids": "a.npz", "target": "b"}
TEXT = Config.model_validate({"run": "r", "data": {"train": FILES, "valid": FILES}})
GRIDS = Config.model_validate(
    {
        "run": "r",
        "data": {"train": GRID_FILES, "valid": GRID_FILES},
        "tokenizer": {"shared": False},
        "model": {"encoder": {"name": "grid", "channels": 2}},
    }
)


def give_stdin(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(raw))))


def pairs_of(source: Path, target: Path, config: Config = TEXT) -> list[tuple[Source, str]]:
    return list(PairArguments(source=source, target=target).read(config))


def test_lines_are_counted_if_readable_twice(tmp_path: Path) -> None:
    plain, packed, pipe = tmp_path / "a", tmp_path / "b.gz", tmp_path / "pipe"
    plain.write_text("one\ntwo")
    packed.write_bytes(gzip.compress(b"one\n\xff\n\n"))
    os.mkfifo(pipe)
    grids = tmp_path / "grids.npz"
    np.savez(grids, np.zeros((1, 1, 2)))
    assert count_input([str(plain), str(packed)]) == 5
    for names in ([], ["-"], [str(plain), str(pipe)], [str(grids)]):
        assert count_input(names) is None


@pytest.mark.parametrize("names", [[], ["-"]])
def test_no_names_or_a_dash_is_stdin(names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    give_stdin(monkeypatch, "eins\r\n\nzwölf".encode())
    assert list(read_text(names)) == ["eins", "", "zwölf"]


def test_files_follow_one_another_plain_or_compressed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"3\n4\n"))
    assert list(read_text([str(tmp_path / "a"), str(tmp_path / "b.gz")])) == ["1", "2", "3", "4"]


def test_stdin_may_be_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    give_stdin(monkeypatch, gzip.compress(b"3\n4\n"))
    assert list(read_text([])) == ["3", "4"]
    give_stdin(monkeypatch, gzip.compress(b"3\n4\n" * 1000)[:-9])
    with pytest.raises(DataError, match="stdin: the gzip data is corrupted or truncated"):
        list(read_text(["-"]))


def test_bad_lines_are_read_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    give_stdin(monkeypatch, b"good\nb\xffd\nn\0l\n\xef\xbb\xbfx\n")
    lines = list(read_text([]))
    assert lines[:3] == ["good", "b\N{REPLACEMENT CHARACTER}d", "n\N{REPLACEMENT CHARACTER}l"]
    assert len(lines) == 4
    assert "stdin, line 2, byte 6" in caplog.text
    assert "stdin, line 3, byte 10" in caplog.text


def test_a_named_pipe_is_opened_only_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("through\n",))
    writer.start()
    assert list(read_text([str(pipe)])) == ["through"]
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


def test_binary_file_does_not_flood_the_terminal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    give_stdin(monkeypatch, b"\xff\n" * 1000)
    assert len(list(read_text([]))) == 1000
    assert len(caplog.records) == 11
    assert "further such lines are not reported" in caplog.text


def test_run_knows_whether_it_reads_lines_or_grids(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n")
    for name, number in (("a.npz", 1.0), ("b.npz", 2.0)):
        np.savez(tmp_path / name, np.full((1, 1, 2), number))
    assert list(read_input(TEXT, [str(tmp_path / "a")])) == ["1", "2"]
    grids = list(read_input(GRIDS, [str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]))
    assert [grid.values[0, 0, 0] for grid in grids] == [1.0, 2.0]


@pytest.mark.parametrize("names", [[], ["-"], ["a.npz", "-"]])
def test_grids_are_not_read_from_stdin(names: list[str]) -> None:
    with pytest.raises(
        UserError, match=r"stdin: not supported by a run that reads grids; give an \.npz file"
    ):
        read_input(GRIDS, names)


def test_pairs_of_grids_and_lines(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.zeros((1, 1, 2)), np.ones((1, 1, 2)))
    (tmp_path / "b").write_text("eins\nzwei\n")
    pairs = pairs_of(tmp_path / "a.npz", tmp_path / "b", GRIDS)
    assert [(grid.values.max(), line) for grid, line in pairs] == [(0.0, "eins"), (1.0, "zwei")]


def test_lines_are_paired_with_their_constraints(tmp_path: Path) -> None:
    prefixes, constraints = tmp_path / "prefixes", tmp_path / "constraints"
    prefixes.write_text("ein Haus\n\n")
    constraints.write_text("\nrot\t sehr schön \t\n")
    assert list(add_constraints(iter(["a", "b"]), prefixes, constraints)) == [
        Input("a", "ein Haus"),
        Input("b", "", ("rot", "sehr schön")),
    ]
    with pytest.raises(DataError, match="prefixes: has 2 lines; give one for each input line"):
        list(add_constraints(iter("abc"), prefixes, constraints))
    with pytest.raises(
        DataError, match="constraints: has more lines than the input; give one for each input"
    ):
        list(add_constraints(iter("a"), None, constraints))
