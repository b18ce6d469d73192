"""Which tokens the units of an alignment are made of, and how much of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.alignment_units import AlignmentUnits, split_text


@dataclass(frozen=True)
class UnitTokens:
    """The units of a sentence, and its tokens in them.

    Attributes:
        texts: of each unit.
        shares: `[tokens, units]`: how much of each token is in each unit. A row sums to 1, or to 0
            where a token is in none.
        sizes: `[tokens]`: how much each token counts in the mean over the tokens of a unit.
    """

    texts: list[str]
    shares: NDArray[np.float64]
    sizes: NDArray[np.float64]

    @property
    def weights(self) -> NDArray[np.float64]:
        """`[tokens, units]`: how much each token counts in a unit."""
        return self.shares * self.sizes[:, None]

    def tokens_of(self, unit: int) -> list[int]:
        """Return the tokens that a unit has a share of."""
        return [int(token) for token in self.shares[:, unit].nonzero()[0]]


def one_to_one(texts: Sequence[str]) -> UnitTokens:
    """Return units that are a token each."""
    return UnitTokens(list(texts), np.eye(len(texts)), np.ones(len(texts)))


def split_sentence(
    words: Sequence[str],
    word_of_token: Sequence[int],
    units: AlignmentUnits,
    token_sizes: Callable[[], Sequence[int | None]],
    length: Callable[[str], int],
) -> UnitTokens:
    """Return the units of the words of a sentence.

    A word that is one unit has all of its tokens, which count alike. In one that is several, the
    text of the tokens and of the units is laid side by side.

    Args:
        words: raw text; one without text has no unit, but where all are so.
        word_of_token: for each token, the index of its word; never falls.
        units: all but "pieces".
        token_sizes: gives the length of the text of each token; None: unknown, and takes what is
            left of its word.
        length: of the text of a unit, measured as that of tokens is.
    """
    parts = [split_text(word, units) for word in words]
    if words and not any(parts):
        parts[0] = [""]
        word_of_token = [0] * len(word_of_token)
    texts = [text for of_word in parts for text in of_word]
    shares = np.zeros((len(word_of_token), len(texts)))
    sizes = np.ones(len(word_of_token))
    known = token_sizes() if any(len(of_word) > 1 for of_word in parts) else ()
    owners = np.asarray(word_of_token, dtype=np.int64)
    first = 0
    for word, of_word in enumerate(parts):
        tokens = (owners == word).nonzero()[0]
        last = first + len(of_word)
        if len(of_word) == 1:
            shares[tokens, first] = 1.0
        elif of_word:
            lengths = [max(1, length(text)) for text in of_word]
            sizes[tokens] = _fill([known[token] for token in tokens], sum(lengths))
            shares[tokens, first:last] = _overlap(sizes[tokens], np.array(lengths, np.float64))
        first = last
    return UnitTokens(texts, shares, sizes)


def _fill(sizes: Sequence[int | None], total: int) -> NDArray[np.float64]:
    """Return the sizes, with equal parts of what is left for those that are unknown."""
    left = max(0, total - sum(size for size in sizes if size is not None))
    share = left / max(1, sizes.count(None))
    return np.array([share if size is None else size for size in sizes], np.float64)


def _overlap(sizes: NDArray[np.float64], lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `[tokens, units]`: the share of each token in each unit, both laid from the start.

    A token without text is in the unit at its place. Where the tokens are shorter (the sentence was
    cut) the last units have none.
    """
    if sizes.sum() > lengths.sum():
        lengths = lengths * (sizes.sum() / lengths.sum())
    ends, unit_ends = sizes.cumsum(), lengths.cumsum()
    starts, unit_starts = ends - sizes, unit_ends - lengths
    common = np.minimum.outer(ends, unit_ends) - np.maximum.outer(starts, unit_starts)
    shares = np.maximum(common, 0.0)
    shares[shares < 1e-6] = 0.0  # of rounding
    empty = (shares.sum(axis=1) == 0.0).nonzero()[0]
    at = np.searchsorted(unit_ends, starts[empty] + 1e-6).clip(max=len(lengths) - 1)
    shares[empty, at] = 1.0
    of_tokens: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
    return of_tokens


def merge_crossed(units: UnitTokens) -> tuple[list[str], list[int]]:
    """Merge neighbouring units that share a token; return the texts, and the one of each token."""
    is_in = units.shares > 0.0
    is_crossed = (is_in[:, 1:] & is_in[:, :-1]).any(axis=0)
    groups = np.concatenate([[0], (~is_crossed).cumsum()]).astype(np.int64)[: len(units.texts)]
    texts = [""] * (int(groups[-1]) + 1 if len(groups) else 0)
    for group, text in zip(groups, units.texts, strict=True):
        texts[group] += text
    return texts, groups[units.shares.argmax(axis=1)].tolist() if texts else []
