"""Attention as a table of text, for a terminal."""

import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.core.console import escape_controls

_SHADES = ((0.75, "█"), (0.50, "▓"), (0.25, "▒"), (0.05, "░"))
_NUMBER_WIDTH = 6  # width of a cell with shade, percentage and gap
_MOST_GLYPHS = 30  # of a word; longer ones are cut


def attention_table(
    weights: NDArray[np.floating],
    source_words: Sequence[str],
    target_words: Sequence[str],
    *,
    width: int = 100,
) -> str:
    """Format attention as text for a terminal: a row per target word, a column per source word.

    A cell shows a shade of grey and, if it fits, the weight in percent; below 5% it is empty. If
    the source words do not fit side by side, they are written vertically. Long words are cut.

    Args:
        weights: `[target words, source words]`, between 0 and 1. Rows that sum to less than 1 put
            the rest on the end-of-sentence token, which has no column.
        source_words: the column headers.
        target_words: the row labels.
        width: maximum width in terminal columns. The table is wider if two columns per source word
            do not fit.
    """
    assert weights.shape == (len(target_words), len(source_words)), "weights and words must agree"
    sources = [_label(word) for word in source_words]
    targets = [_label(word) for word in target_words]
    margin = max(map(text_width, targets), default=0) + 2
    widths = [max(text_width(word) + 2, _NUMBER_WIDTH) for word in sources]
    header = [sources]
    if margin + sum(widths) > width:
        widths = [3 if margin + 3 * len(sources) <= width else 2] * len(sources)
        height = max(map(len, sources))
        padded = [[" "] * (height - len(word)) + word for word in sources]
        header = [[[word[row]] for word in padded] for row in range(height)]
    lines = [_row([], margin, cells, widths) for cells in header]
    for word, row in zip(targets, weights, strict=True):
        cells = [list(_cell(float(one), size)) for one, size in zip(row, widths, strict=True)]
        lines.append(_row(word, margin, cells, widths))
    legend = ", ".join(f"{shade} from {limit:.0%}" for limit, shade in reversed(_SHADES))
    return "\n".join([*lines, "", legend])


def _cell(weight: float, width: int) -> str:
    shade = next((shade for limit, shade in _SHADES if weight >= limit), "")
    if not shade or width < _NUMBER_WIDTH:
        return shade * (width - 1)
    return f"{shade}{100 * weight:4.0f}"


def _row(label: list[str], margin: int, cells: Sequence[list[str]], widths: Sequence[int]) -> str:
    fields = zip([label, *cells], [margin, *widths], strict=True)
    text = "".join("".join(glyphs) + " " * (size - text_width(glyphs)) for glyphs, size in fields)
    return text.rstrip()


def _label(word: str) -> list[str]:
    """Return the glyphs of a word, cut if it is long."""
    glyphs = split_glyphs(word)
    return glyphs if len(glyphs) <= _MOST_GLYPHS else [*glyphs[: _MOST_GLYPHS - 1], "…"]


def split_glyphs(word: str) -> list[str]:
    """Split a word into glyphs; combining characters stay with their base character."""
    glyphs: list[str] = []
    for character in word:
        if escape_controls(character) != character:  # must not reach the terminal
            glyphs.append("\N{REPLACEMENT CHARACTER}")
        elif glyphs and unicodedata.category(character) in ("Mn", "Me", "Cf"):
            glyphs[-1] += character
        else:
            glyphs.append(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}")
    return glyphs


def text_width(glyphs: Iterable[str]) -> int:
    """Return the width in terminal columns; CJK characters and emoji take two."""
    return sum(2 if unicodedata.east_asian_width(glyph[0]) in "WF" else 1 for glyph in glyphs)
