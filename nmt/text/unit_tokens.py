"""Tokens of alignment units, and the share of each token in each unit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nmt.word_alignment.units import ActualUnits, AlignmentUnits, find_units, split_text

# Limit for lines whose words are split: an alignment of two such lines takes 200 MB.
_MOST_CHARACTERS: Final = 5_000


@dataclass(frozen=True)
class UnitTokens:
    """The units of a sentence, and the tokens in each unit.

    Attributes:
        texts: text of each unit.
        members: for each unit, its tokens and the share of each token in it. The shares of a token
            sum to 1, or to 0 if the token is in no unit.
        sizes: `[tokens]`, the weight of each token in the mean over the tokens of a unit.
        units: kind of units; None: cells of a grid, or no units.
    """

    texts: list[str]
    members: list[dict[int, float]]
    sizes: NDArray[np.float64]
    units: ActualUnits | None = None

    @property
    def shares(self) -> NDArray[np.float64]:
        """Return `[tokens, units]`: the share of each token in each unit."""
        shares = np.zeros((len(self.sizes), len(self.texts)))
        for unit, member in enumerate(self.members):
            shares[list(member), unit] = list(member.values())
        return shares

    @property
    def weights(self) -> NDArray[np.float64]:
        """Return `[tokens, units]`: the weight of each token in each unit."""
        return self.shares * self.sizes[:, None]


def one_to_one(texts: Sequence[str], units: ActualUnits | None = None) -> UnitTokens:
    """Return units of one token each."""
    members = [{token: 1.0} for token in range(len(texts))]
    return UnitTokens(list(texts), members, np.ones(len(texts)), units)


def split_sentence(
    words: Sequence[str],
    word_of_token: Sequence[int],
    units: AlignmentUnits,
    token_sizes: Callable[[], Sequence[int | None]],
    length: Callable[[str], int],
) -> UnitTokens:
    """Return the units of the words of a sentence.

    If a word is one unit, the unit has all tokens of the word, with equal weights. If a word has
    several units, tokens and units are matched by the lengths of their texts. Lines of more than
    5,000 characters are always split into words.

    Args:
        words: words of the raw text. Empty words have no unit, unless all words are empty.
        word_of_token: for each token, the index of its word; non-decreasing.
        units: any unit except "pieces".
        token_sizes: returns the text length of each token; None: unknown, gets an equal part of the
            rest of its word.
        length: returns the text length of a unit, in the same measure as `token_sizes`.
    """
    if sum(map(len, words)) > _MOST_CHARACTERS:
        units = "words"
    parts = [split_text(word, units) for word in words]
    actual = find_units(parts) if units == "auto" else units
    if words and not any(parts):
        parts[0] = [""]
        word_of_token = [0] * len(word_of_token)
    tokens_of_word: list[list[int]] = [[] for _ in words]
    for token, word in enumerate(word_of_token):
        tokens_of_word[word].append(token)
    members: list[dict[int, float]] = []
    sizes = np.ones(len(word_of_token))
    known = token_sizes() if any(len(of_word) > 1 for of_word in parts) else ()
    for of_word, tokens in zip(parts, tokens_of_word, strict=True):
        if len(of_word) == 1:
            members.append(dict.fromkeys(tokens, 1.0))
        elif of_word:
            lengths = [max(1, length(text)) for text in of_word]
            sizes[tokens] = _fill([known[token] for token in tokens], sum(lengths))
            shares = _overlap(sizes[tokens], np.array(lengths, np.float64))
            members += [{} for _ in of_word]
            for at, unit in np.argwhere(shares).tolist():
                members[unit - len(of_word)][tokens[at]] = float(shares[at, unit])
    return UnitTokens([text for of_word in parts for text in of_word], members, sizes, actual)


def _fill(sizes: Sequence[int | None], total: int) -> NDArray[np.float64]:
    """Return the sizes, with the rest of the total shared equally among unknown sizes."""
    left = max(0, total - sum(size for size in sizes if size is not None))
    share = left / max(1, sizes.count(None))
    return np.array([share if size is None else size for size in sizes], np.float64)


def _overlap(sizes: NDArray[np.float64], lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `[tokens, units]`: the share of each token in each unit, both aligned at the start.

    A token without text belongs to the unit at its position. If the tokens are shorter than the
    units (a truncated sentence), the last units have no tokens.
    """
    if sizes.sum() > lengths.sum():
        lengths = lengths * (sizes.sum() / lengths.sum())
    ends, unit_ends = sizes.cumsum(), lengths.cumsum()
    starts, unit_starts = ends - sizes, unit_ends - lengths
    common = np.minimum.outer(ends, unit_ends) - np.maximum.outer(starts, unit_starts)
    shares = np.maximum(common, 0.0)
    shares[shares < 1e-6] = 0.0  # rounding errors
    empty = (shares.sum(axis=1) == 0.0).nonzero()[0]
    at = np.searchsorted(unit_ends, starts[empty] + 1e-6).clip(max=len(lengths) - 1)
    shares[empty, at] = 1.0
    of_tokens: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
    return of_tokens


def merge_units_that_share_tokens(units: UnitTokens) -> tuple[list[str], list[int]]:
    """Merge neighbouring units that share a token.

    Returns:
        The text of each merged unit, and the index of the merged unit of each token.
    """
    texts: list[str] = []
    of_token = [0] * len(units.sizes)
    before: dict[int, float] = {}
    for text, member in zip(units.texts, units.members, strict=True):
        if before.keys() & member.keys():
            texts[-1] += text
        else:
            texts.append(text)
        for token in member:
            of_token[token] = len(texts) - 1
        before = member
    return texts, of_token if texts else []
