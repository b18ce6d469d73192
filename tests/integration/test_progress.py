"""The bar that a person at a terminal sees of `nmt translate` into a file."""

import contextlib
import io
import re
from functools import partial
from pathlib import Path

import pytest
from tqdm import tqdm

from nmt.cli.main import main


class Terminal(io.StringIO):
    """Stderr, and a person before it."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture(autouse=True)
def _show_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqdm.tqdm", partial(tqdm, mininterval=0, miniters=1, ncols=100))


def steps(*words: object) -> list[str]:
    """What the bar has said: `done/total`."""
    with contextlib.redirect_stderr(Terminal()) as screen:
        assert main([str(word) for word in words]) == 0, screen.getvalue()
    told = screen.getvalue()
    assert re.search(r"\[\d\d:\d\d<\d\d:\d\d, +[\d.]+ lines/s\]", told), told
    found = re.findall(r"(\d+/\d+) \[", told)
    return [step for step, before in zip(found, [None, *found], strict=False) if step != before]


def test_it_moves_with_each_batch(in_copy: Path) -> None:
    Path("input.en").write_text("one .\n\ntwo three .\nfour .\n\n")
    words = ("input.en", "-o", "out", "--batch-tokens", 3)
    # Lines without text count when all else is done.
    assert steps("translate", "runs/tiny", *words) == ["0/5", "1/5", "2/5", "3/5", "5/5"]


def test_progress_counts_lines_done_before(in_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.inference.inputs._MOST_ITEMS", 2)
    Path("input.en").write_text("one .\n" * 5)
    words = ("translate", "runs/tiny", "input.en", "-o", "out")
    with monkeypatch.context() as patch:
        patch.setattr("nmt.cli.translate.TranslationWriter", lambda *given, **options: None)
        assert main(list(words)) == 1
    Path("out.partial").write_text("eins .\n" * 3)
    assert steps(*words, "--resume") == ["2/5", "4/5", "5/5"]
