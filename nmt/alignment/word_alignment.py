"""Word alignments: measure them, take them from attention, show them."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.alignment.pharaoh import Alignment, GoldAlignment

Weights = NDArray[np.floating]


@dataclass(frozen=True)
class AlignmentCounts:
    """What alignment error rate is made of, summed over any number of sentence pairs.

    Attributes:
        found: links found, |A|.
        sure: sure links, |S|.
        found_sure: links found that are sure, |A & S|.
        found_possible: links found that are possible, |A & P|.
    """

    found: int = 0
    sure: int = 0
    found_sure: int = 0
    found_possible: int = 0

    def __add__(self, other: "AlignmentCounts") -> "AlignmentCounts":
        return AlignmentCounts(
            self.found + other.found,
            self.sure + other.sure,
            self.found_sure + other.found_sure,
            self.found_possible + other.found_possible,
        )

    @property
    def error_rate(self) -> float:
        """AER = 1 - (|A & S| + |A & P|) / (|A| + |S|), between 0 (best) and 1; 0 of nothing.

        Och and Ney 2003, "A Systematic Comparison of Various Statistical Alignment Models",
        Evaluation Methodology.
        """
        links = self.found + self.sure
        return 1.0 - (self.found_sure + self.found_possible) / links if links else 0.0

    @property
    def precision(self) -> float:
        """|A & P| / |A|: the share of the links found that may be; 1 where none is found."""
        return self.found_possible / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """|A & S| / |S|: the share of the sure links that are found; 1 where there is none."""
        return self.found_sure / self.sure if self.sure else 1.0


def count_links(found: Alignment, gold: GoldAlignment) -> AlignmentCounts:
    """One sentence pair, measured; the sum over a corpus has the error rate of the corpus."""
    return AlignmentCounts(
        found=len(found),
        sure=len(gold.sure),
        found_sure=len(found & gold.sure),
        found_possible=len(found & gold.possible),
    )


def merge_tokens(
    weights: Weights, source_shares: NDArray[np.float64], target_weights: NDArray[np.float64]
) -> Weights:
    """Return attention between words (or other units) from attention between tokens.

    What a word is looked at is the sum over its tokens, and what a word looks at is the mean over
    its tokens: a row still sums to at most 1. The weight on the EOS of the source is left out, and
    so is the row of the EOS of the target: what is missing to 1 is what the word looked at no word.

    Args:
        weights: `[T S]` or with one more column or row or both, for EOS: attention as the model
            gives it, without padding.
        source_shares: `[source tokens, source words]`: how much of each token, but EOS, is in each
            word.
        target_weights: `[target tokens, target words]`: how much each token counts in the mean of
            each word; a word of none has a row of zeros.

    Returns:
        `[target words, source words]`, float64.
    """
    num_targets, num_sources = len(target_weights), len(source_shares)
    assert weights.shape[0] - num_targets in (0, 1), "a row for each target token, and EOS"
    assert weights.shape[1] - num_sources in (0, 1), "a column for each source token, and EOS"
    total = target_weights.sum(axis=0)
    mean = np.divide(target_weights, total, out=np.zeros_like(target_weights), where=total > 0)
    tokens = weights[:num_targets, :num_sources].astype(np.float64)
    merged: Weights = mean.T @ tokens @ source_shares
    return merged


def hard_alignment(word_weights: Weights, threshold: float = 0.0) -> Alignment:
    """One link for each target word: to the source word that it looks at most.

    Of source words with equal weights it is the first.

    Args:
        word_weights: `[target words, source words]`.
        threshold: a target word whose largest weight is not above this has no link.
    """
    if word_weights.size == 0:
        return frozenset()
    best = word_weights.argmax(axis=1)
    largest = word_weights.max(axis=1)
    return frozenset(
        (int(source), target) for target, source in enumerate(best) if largest[target] > threshold
    )


_SHADES = ((0.75, "█"), (0.50, "▓"), (0.25, "▒"), (0.05, "░"))
_NUMBER_WIDTH = 6  # of a cell with a shade, a number in percent and a gap


def attention_table(
    weights: Weights, source_words: Sequence[str], target_words: Sequence[str], *, width: int = 100
) -> str:
    """Attention as text for a terminal: a row for each target word, a column for each source word.

    A cell is a shade of grey and, where there is room, the weight in percent; below 5 % it is
    empty. Where the source words do not fit beside each other they are written downwards.

    Args:
        weights: `[target words, source words]`, between 0 and 1. A row may sum to less than 1: the
            rest went to the end of the sentence, which has no column.
        source_words: written along the top.
        target_words: written down the side.
        width: columns to fit into. The narrowest table has two columns for each source word; where
            that is too much the table is wider.
    """
    assert weights.shape == (len(target_words), len(source_words)), "weights and words must agree"
    sources = [_glyphs(word) for word in source_words]
    targets = [_glyphs(word) for word in target_words]
    margin = max(map(_width, targets), default=0) + 2
    widths = [max(_width(word) + 2, _NUMBER_WIDTH) for word in sources]
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
    text = "".join("".join(glyphs) + " " * (size - _width(glyphs)) for glyphs, size in fields)
    return text.rstrip()


def _glyphs(word: str) -> list[str]:
    """What takes a place on the screen, one by one: an accent stays with its letter."""
    glyphs: list[str] = []
    for character in word:
        if glyphs and unicodedata.category(character) in ("Mn", "Me", "Cf"):
            glyphs[-1] += character
        else:  # what is no print (an escape, for one) must not reach the terminal
            glyphs.append(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}")
    return glyphs


def _width(glyphs: Iterable[str]) -> int:
    """Columns on the screen: two for a letter of Chinese, Japanese or Korean, and for a picture."""
    return sum(2 if unicodedata.east_asian_width(glyph[0]) in "WF" else 1 for glyph in glyphs)
