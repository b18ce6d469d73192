"""The Pharaoh format of word alignments: ``0-0 1-2 2p1``, one line for each sentence pair.

A link is a pair (source word, target word), both counted from 0. Words are separated by blanks in
the raw text, or are the units of `nmt.word_alignment.units`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from nmt.core.errors import DataError

Link = tuple[int, int]
Alignment = frozenset[Link]

_LINK = re.compile(r"([0-9]{1,9})([-p])([0-9]{1,9})")


@dataclass(frozen=True)
class GoldAlignment:
    """The reference alignment of one sentence pair, made by annotators or a grammar.

    Attributes:
        sure: links that an aligner must find.
        possible: links that an aligner may find, including the sure ones.
    """

    sure: Alignment
    possible: Alignment

    def __post_init__(self) -> None:
        assert self.sure <= self.possible, "a sure link is also a possible link"


def format_pharaoh(links: Iterable[Link]) -> str:
    """Format links in order of source word, then target word: ``0-0 1-2 2-1``."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def parse_pharaoh(
    text: str, *, where: str, sizes: tuple[float, float] = (inf, inf), hint: str = ""
) -> GoldAlignment:
    """Read one line: ``i-j`` is a sure link and ``ipj`` one that is only possible.

    Args:
        text: links separated by blanks; may be empty.
        where: file and line, for messages.
        sizes: numbers of source and target words, if known.
        hint: what to do about a word index out of range; appended to the message.

    Raises:
        DataError: an item is not a link, or a word index is out of range.
    """
    sure, possible = set(), set()
    for item in text.split():
        match = _LINK.fullmatch(item)
        if match is None:
            raise DataError(
                f"{where}: {item!r} is not a link; write i-j (or ipj, if only possible) for source "
                "word i and target word j, counted from 0"
            )
        link = int(match[1]), int(match[3])
        for side, index, words in zip(("source", "target"), link, sizes, strict=True):
            if index >= words:
                raise DataError(
                    f"{where}: {item!r} names {side} word {index}, but the {side} has {words} "
                    f"words, counted from 0{hint}"
                )
        possible.add(link)
        if match[2] == "-":
            sure.add(link)
    return GoldAlignment(frozenset(sure), frozenset(possible))
