"""Symmetrization of word alignments in two directions (Och & Ney 2003, 5.2; Koehn 2003)."""

import operator
from collections.abc import Callable, Collection, Iterable
from typing import Final

from nmt.word_alignment.pharaoh import Alignment, Link

_NEIGHBOURS: Final = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def grow_diag(forward: Alignment, backward: Alignment) -> Alignment:
    """Grow the intersection by neighbouring links of the union that give a word its first link.

    Diagonal neighbours count, and so do neighbours of the links that were added.
    """
    found, candidates = set(forward & backward), forward | backward
    has_grown = True
    while has_grown:
        has_grown = False
        for source, target in sorted(found):
            for down, right in _NEIGHBOURS:
                link = (source + down, target + right)
                if link in candidates and link not in found and _count_unlinked(link, found):
                    found.add(link)
                    has_grown = True
    return frozenset(found)


def grow_diag_final(forward: Alignment, backward: Alignment) -> Alignment:
    """Return `grow_diag`, plus links of either direction that give a word its first link."""
    return _finish(grow_diag(forward, backward), (forward, backward), fewest_unlinked=1)


def grow_diag_final_and(forward: Alignment, backward: Alignment) -> Alignment:
    """Return `grow_diag`, plus links of either direction between two words without links."""
    return _finish(grow_diag(forward, backward), (forward, backward), fewest_unlinked=2)


SYMMETRIZATIONS: Final[dict[str, Callable[[Alignment, Alignment], Alignment]]] = {
    "grow-diag-final-and": grow_diag_final_and,
    "grow-diag-final": grow_diag_final,
    "grow-diag": grow_diag,
    "intersection": operator.and_,
    "union": operator.or_,
}


def _finish(grown: Alignment, directions: Iterable[Alignment], fewest_unlinked: int) -> Alignment:
    """Add the links of each direction with at least `fewest_unlinked` words without a link."""
    found = set(grown)
    for links in directions:
        for link in sorted(links):
            if _count_unlinked(link, found) >= fewest_unlinked:
                found.add(link)
    return frozenset(found)


def _count_unlinked(link: Link, found: Collection[Link]) -> int:
    """Return how many of the two words of a link have no link yet."""
    has_source = any(source == link[0] for source, _ in found)
    has_target = any(target == link[1] for _, target in found)
    return 2 - has_source - has_target
