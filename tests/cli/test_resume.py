"""What is complete of a translation that is resumed."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt.cli import translate
from nmt.cli.resume import ResumableOutputs
from nmt.config.decoding import DecodingConfig
from nmt.core.errors import UserError


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make windows of two lines."""
    monkeypatch.setattr("nmt.inference.inputs._MOST_ITEMS", 2)


def resume(
    folder: Path, lines: Sequence[str], *names: str, has_lists: bool = False
) -> tuple[int, list[str]]:
    """Resume outputs whose state fits; the first is that of -o."""
    paths = {("-o", "--alignments")[index]: folder / name for index, name in enumerate(names)}
    state = folder / f"{names[0]}.state"
    state.unlink(missing_ok=True)
    ResumableOutputs.open(paths, [], "x", resume=True).begin(iter(()), has_lists=has_lists)
    assert state.exists()
    opened = ResumableOutputs.open(paths, [], "x", resume=True)
    assert opened.is_resumed
    num_done, rest = opened.begin(iter(lines), has_lists=has_lists)
    return num_done, list(rest)


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("", ""),
        ("a\n", ""),
        ("a\nb\n", "a\nb\n"),
        ("a\nb\nc", "a\nb\n"),
        ("a\nb\nc\nd", "a\nb\n"),
        ("a\nb\nc\n\n", "a\nb\nc\n\n"),
        ("a\nb\nc\n\0\0\n", "a\nb\n"),
        ("a\nb\nc\nd\ne\n", "a\nb\nc\nd\ne\n"),
    ],
)
def test_complete_lines_of_whole_windows_are_kept(content: str, kept: str, tmp_path: Path) -> None:
    (tmp_path / "out.partial").write_text(content)
    lines = ["1", "2", "3", "4", "5"]
    num_done = kept.count("\n")
    assert resume(tmp_path, lines, "out") == (num_done, lines[num_done:])
    assert (tmp_path / "out.partial").read_text() == kept


def test_the_shortest_output_determines_where_to_resume(tmp_path: Path) -> None:
    (tmp_path / "out.partial").write_text("a\nb\nc\nd\n")
    (tmp_path / "aligned.partial").write_text("0-0\n\n0-")
    assert resume(tmp_path, "12345", "out", "aligned") == (2, ["3", "4", "5"])
    assert (tmp_path / "out.partial").read_text() == "a\nb\n"
    assert (tmp_path / "aligned.partial").read_text() == "0-0\n\n"


def test_the_last_list_of_an_n_best_list_may_be_incomplete(tmp_path: Path) -> None:
    first = "0 ||| a ||| 1\n0 ||| b ||| 1\n1 ||| c ||| 1\n1 ||| d ||| 1\n"
    for rest in ("2 ||| e ||| 1\n", "2 ||| e ||| 1\n2 ||| f ||| 1\n3 ||| g ||| 1\n3 |"):
        (tmp_path / "out.partial").write_text(first + rest)
        assert resume(tmp_path, "12345", "out", has_lists=True) == (2, ["3", "4", "5"])
        assert (tmp_path / "out.partial").read_text() == first


@pytest.mark.parametrize("damaged", ["rubbish\n", "\n", "x ||| d\n"])
def test_a_list_is_complete_as_far_as_its_entries_have_numbers(
    damaged: str, tmp_path: Path
) -> None:
    kept = "0 ||| a\n1 ||| b\n"
    (tmp_path / "out.partial").write_text(f"{kept}2 ||| c\n{damaged}9 ||| e\n")
    assert resume(tmp_path, "12345", "out", has_lists=True) == (2, ["3", "4", "5"])
    assert (tmp_path / "out.partial").read_text() == kept


def test_another_state_is_refused(tmp_path: Path) -> None:
    paths = {"-o": tmp_path / "out"}
    for state in (b"", b"another", b"\xff"):
        (tmp_path / "out.state").write_bytes(state)
        with pytest.raises(
            UserError, match=r"out\.state: the output was started with another model"
        ):
            ResumableOutputs.open(paths, [], "x", resume=True)
        assert not ResumableOutputs.open(paths, [], "x", resume=False).is_resumed


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ({}, "--resume: only continues a file; give the same -o FILE as before"),
        ({"-o": "/dev/null"}, "--resume: -o /dev/null is not a regular file; choose"),
        ({"-o": "out", "--alignments": "a.gz"}, "--alignments a.gz is compressed; write an uncom"),
    ],
)
def test_outputs_that_cannot_be_resumed_are_refused(outputs: dict[str, str], reason: str) -> None:
    paths = {argument: Path(name) for argument, name in outputs.items()}
    with pytest.raises(UserError, match=reason):
        ResumableOutputs.open(paths, [], "x", resume=True)
    assert ResumableOutputs.open(paths, [], "x", resume=False).fingerprint is None


def test_the_order_of_plugins_does_not_change_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SimpleNamespace(checkpoint=lambda name: tmp_path / name)
    run: Any = SimpleNamespace(folder=folder, config=SimpleNamespace(decoding=DecodingConfig()))
    (tmp_path / "best").mkdir()
    (tmp_path / "best/manifest.json").write_text("{}")

    runner: Any = SimpleNamespace(precision="float32")
    translator: Any = SimpleNamespace(alignment_units="words", runner=runner)

    def fingerprint(*names: str) -> str:
        sources = [SimpleNamespace(sha256=name) for name in names]
        monkeypatch.setattr("nmt.cli.translate.sources", lambda: sources)
        arguments = translate.Arguments(run="tiny", input=[], plugins=list(names))
        return translate._fingerprint(run, translator, arguments)

    assert fingerprint("a", "b") == fingerprint("b", "a")
    assert len({fingerprint(), fingerprint("a"), fingerprint("b"), fingerprint("a", "b")}) == 4
