"""One word alignment from those of two directions (Och & Ney 2003, section 5.2; Koehn 2003)."""

from collections.abc import Callable, Collection, Iterable
from typing import Final

from nmt.word_alignment.pharaoh import Alignment, Link

_NEIGHBOURS: Final = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def intersection(forward: Alignment, backward: Alignment) -> Alignment:
    """The links that both have: few, and nearly all right.

    Args:
        forward: of one direction, links of source word and target word.
        backward: of the other direction, its links turned round to be the same.
    """
    return forward & backward


def union(forward: Alignment, backward: Alignment) -> Alignment:
    """The links that either has."""
    return forward | backward


def grow_diag(forward: Alignment, backward: Alignment) -> Alignment:
    """Return the intersection, and links of the union next to it that give a word its first link.

    Corners count as next to it, and links that were added have neighbours as well.
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
    """`grow_diag`, and every link of either direction that gives a word its first."""
    return _finish(grow_diag(forward, backward), (forward, backward), fewest_unlinked=1)


def grow_diag_final_and(forward: Alignment, backward: Alignment) -> Alignment:
    """`grow_diag`, and every link of either direction that gives both of its words their first."""
    return _finish(grow_diag(forward, backward), (forward, backward), fewest_unlinked=2)


SYMMETRIZATIONS: Final[dict[str, Callable[[Alignment, Alignment], Alignment]]] = {
    "grow-diag-final-and": grow_diag_final_and,
    "grow-diag-final": grow_diag_final,
    "grow-diag": grow_diag,
    "intersection": intersection,
    "union": union,
}


def _finish(
    grown: Alignment, directions: Iterable[Alignment], *, fewest_unlinked: int
) -> Alignment:
    """Add the links of each direction of which so many words have no link yet."""
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
