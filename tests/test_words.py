"""The prose of docstrings, documents and configurations: openings and words that are not used."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = ("nmt", "scripts")
PROSE = (*CODE, "docs", "configs", "README.md")

# Openings that start no docstring, and articles that start no docstring of a function.
OPENINGS = {"Of", "That", "What", "Whether", "How", "Where", "So", "As", "Likewise", "Those"}
ARTICLES = {"The", "A", "An"}

BANNED = (
    "told|mend(?:s|ed|ing)?|anew|but for|alone|beside|such a one|of no account|wished for|goes on"
    "|gone on|knows nothing of|is none of|has it that|as good as|come again|there is room"
)
# A line break, with the mark of a comment, may stand between two words.
BANNED_WORDS = re.compile(rf"\b(?:{BANNED})\b".replace(" ", r"[ \n#]+"), re.IGNORECASE)

# Older entries of this dated log are neither rewritten nor searched.
LOG = ROOT / "docs/experiments.md"
FIRST_SEARCHED = "2026-11-29"


def bad_openings(code: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the opening of each docstring that opens badly."""
    for node in ast.walk(ast.parse(code)):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if not isinstance(node, ast.Module | ast.ClassDef) and not is_function:
            continue
        text = ast.get_docstring(node) or " "
        first, _, rest = text.partition(" ")
        is_same = first == "The" and rest.startswith("same")
        if first in OPENINGS or is_same or (is_function and first in ARTICLES):
            yield node.body[0].lineno, text.partition("\n")[0]


def banned_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each banned word."""
    for found in BANNED_WORDS.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, found[0]


def searched(path: Path) -> str:
    """Return the text of a file that is searched; empty for a file that is not text."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
    if path != LOG:
        return text
    entries = re.split(r"(?m)^(?=## )", text)
    return "".join(entry for entry in entries if entry[3:13] >= FIRST_SEARCHED)


def files_in(*names: str) -> Iterator[Path]:
    for name in names:
        path = ROOT / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ('"""What a module has."""', 1),
        ('class A:\n    """The same as B."""', 2),
        ('def f():\n    """The sum."""', 2),
        ('async def f():\n    """An item."""', 2),
        ('class A:\n    def f(self):\n        """Whether it is so."""', 3),
    ],
)
def test_a_bad_opening_is_found(code: str, line: int) -> None:
    assert [number for number, _ in bad_openings(code)] == [line]


@pytest.mark.parametrize(
    "code",
    [
        '"""The parts."""',
        'class A:\n    """A part."""',
        'def f():\n    """Return a part."""',
        "x=1",
    ],
)
def test_good_opening_is_accepted(code: str) -> None:
    assert not list(bad_openings(code))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x\nAlone again.", [(2, "Alone")]),
        ("it goes\non", [(1, "goes\non")]),
        ("# it is as\n# good as new", [(1, "as\n# good as")]),
        ("mended, alone-ish", [(1, "mended"), (1, "alone")]),
        ("amend, standalone, told_x, goes one", []),
    ],
)
def test_banned_words_are_found(text: str, found: list[tuple[int, str]]) -> None:
    assert list(banned_words(text)) == found


def test_no_docstring_opens_badly() -> None:
    assert [
        f"{path.relative_to(ROOT)}:{line}: {opening}"
        for path in files_in(*CODE)
        if path.suffix == ".py"
        for line, opening in bad_openings(path.read_text(encoding="utf-8"))
    ] == []


def test_no_banned_word_is_used() -> None:
    assert [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in files_in(*PROSE)
        for line, word in banned_words(searched(path))
    ] == []
