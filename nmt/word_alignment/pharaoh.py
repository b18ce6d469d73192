"""The Pharaoh format of word alignments: ``0-0 1-2 2p1``, one line for each sentence pair.

A link is a pair (source word, target word), both counted from 0; a word is what stands between
blanks of the raw text, or another unit that both sides agree on (`nmt.word_alignment.units`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nmt.core.errors import DataError

Link = tuple[int, int]
Alignment = frozenset[Link]

_LINK = re.compile(r"([0-9]{1,9})([-p])([0-9]{1,9})")


@dataclass(frozen=True)
class GoldAlignment:
    """What people (or a grammar) say about one sentence pair.

    Attributes:
        sure: links that an aligner must find.
        possible: links that it may find; those that are sure are among them.
    """

    sure: Alignment
    possible: Alignment

    def __post_init__(self) -> None:
        assert self.sure <= self.possible, "a sure link is a possible one"


def format_pharaoh(links: Iterable[Link]) -> str:
    """Links in order of source word, then target word: ``0-0 1-2 2-1``."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def parse_pharaoh(
    text: str,
    *,
    where: str,
    num_source: int | None = None,
    num_target: int | None = None,
    hint: str = "",
) -> GoldAlignment:
    """Read one line: ``i-j`` is a sure link and ``ipj`` one that is only possible.

    Args:
        text: links with blanks between them; none is an alignment too.
        where: file and line, for messages.
        num_source: source words, where known.
        num_target: target words, where known.
        hint: what to do where a word is named that is not there.

    Raises:
        DataError: an item is no link, or names a word that is not there.
    """
    sure, possible = set(), set()
    for item in text.split():
        match = _LINK.fullmatch(item)
        if match is None:
            raise DataError(
                f"{where}: {item!r} is no alignment; write i-j (or ipj, if only possible) with "
                f"i the source word and j the target word, counted from 0"
            )
        link = int(match[1]), int(match[3])
        sizes = {"source": num_source, "target": num_target}
        for index, (side, words) in zip(link, sizes.items(), strict=True):
            if words is not None and index >= words:
                raise DataError(
                    f"{where}: {item!r} names {side} word {index}, but the {side} has {words} "
                    f"words, counted from 0{hint}"
                )
        possible.add(link)
        if match[2] == "-":
            sure.add(link)
    return GoldAlignment(frozenset(sure), frozenset(possible))
