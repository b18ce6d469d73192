from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st

from nmt.word_alignment.pharaoh import Alignment
from nmt.word_alignment.symmetrization import (
    SYMMETRIZATIONS,
    grow_diag,
    grow_diag_final,
    grow_diag_final_and,
)

LINKS = st.frozensets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)


def links(text: str) -> Alignment:
    return frozenset((int(s), int(t)) for s, t in (pair.split("-") for pair in text.split()))


FORWARD = links("0-0 1-1 2-2 4-4 6-2")
BACKWARD = links("0-0 1-1 1-2 3-2 5-5 7-7")


def test_worked_by_hand() -> None:
    assert SYMMETRIZATIONS["intersection"](FORWARD, BACKWARD) == links("0-0 1-1")
    assert SYMMETRIZATIONS["union"](FORWARD, BACKWARD) == FORWARD | BACKWARD
    # From 1-1: 1-2 (target 2 is new), 2-2 (source 2 is new); from 2-2: 3-2. 4-4 touches nothing.
    assert grow_diag(FORWARD, BACKWARD) == links("0-0 1-1 1-2 2-2 3-2")
    # 4-4, 5-5 and 7-7 are new on both sides; 6-2 on one.
    assert grow_diag_final_and(FORWARD, BACKWARD) == links("0-0 1-1 1-2 2-2 3-2 4-4 5-5 7-7")
    assert grow_diag_final(FORWARD, BACKWARD) == links("0-0 1-1 1-2 2-2 3-2 4-4 5-5 6-2 7-7")


@pytest.mark.parametrize("down", [-1, 0, 1])
@pytest.mark.parametrize("right", [-1, 0, 1])
def test_grow_diag_reaches_all_eight_neighbours(down: int, right: int) -> None:
    start, beside = (4, 4), (4 + down, 4 + right)
    further = {(4 + 2 * down, 4 + 3 * right)} if down and right else {(6, 7)}
    assert grow_diag(frozenset({start}), frozenset({start, beside, *further})) == {start, beside}


def test_final_links_need_unlinked_words() -> None:
    """1-3 has a source that is linked, 4-1 a target that is, 5-5 neither."""
    both, one = links("1-1"), links("1-1 1-3 4-1 5-5")
    assert grow_diag(both, one) == links("1-1")
    assert grow_diag_final_and(both, one) == links("1-1 5-5")
    assert grow_diag_final(both, one) == links("1-1 1-3 4-1 5-5")
    # Of two that want the same word, the forward direction's comes first, and then the smaller.
    assert grow_diag_final_and(links("3-9"), links("2-9")) == links("3-9")
    assert grow_diag_final_and(links("3-9 2-9"), links("")) == links("2-9")


def test_empty_alignments_give_an_empty_one() -> None:
    for symmetrize in SYMMETRIZATIONS.values():
        assert symmetrize(frozenset(), frozenset()) == frozenset()


@settings(deadline=None)
@given(forward=LINKS, backward=LINKS)
def test_each_lies_between_the_intersection_and_the_union(
    forward: Alignment, backward: Alignment
) -> None:
    grown = grow_diag(forward, backward)
    cautious = grow_diag_final_and(forward, backward)
    bold = grow_diag_final(forward, backward)
    assert forward & backward <= grown <= cautious <= forward | backward
    assert grown <= bold <= forward | backward
    for words in ({s for s, _ in forward | backward}, {t for _, t in forward | backward}):
        covered = {s for s, _ in bold} | {t for _, t in bold}
        assert words <= covered


@pytest.mark.parametrize("name", SYMMETRIZATIONS)
@settings(deadline=None, max_examples=30)
@given(both=LINKS)
def test_equal_alignments_are_unchanged(name: str, both: Alignment) -> None:
    assert SYMMETRIZATIONS[name](both, both) == both


def plainly_grown(forward: Alignment, backward: Alignment) -> set[tuple[int, int]]:
    """Koehn's grow-diag, with loops over the words: source words first, both ascending."""
    found = set(forward & backward)
    steps = [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    has_grown = True
    while has_grown:
        has_grown, before = False, set(found)
        for source in range(6):
            for target in range(6):
                if (source, target) not in before:
                    continue
                for down, right in steps:
                    s, t = source + down, target + right
                    is_new = all(s != a for a, _ in found) or all(t != b for _, b in found)
                    if (s, t) in forward | backward and is_new:
                        found.add((s, t))
                        has_grown = True
    return found


@settings(deadline=None, max_examples=200)
@given(both=LINKS, one=LINKS, other=LINKS)
def test_grow_diag_proceeds_from_first_to_last_word(
    both: Alignment, one: Alignment, other: Alignment
) -> None:
    assert grow_diag(both | one, both | other) == plainly_grown(both | one, both | other)


@pytest.mark.parametrize("finish", [grow_diag_final, grow_diag_final_and])
def test_the_last_links_are_added_in_the_order_of_the_words(
    finish: Callable[[Alignment, Alignment], Alignment],
) -> None:
    nothing: Alignment = frozenset()
    for first in range(8):
        for second in range(first + 1, 8):
            found = finish(nothing, frozenset({(second, 9), (first, 9), (first, 20)}))
            rest = {(second, 9), (first, 20)} if finish is grow_diag_final else set()
            assert found == {(first, 9), *rest}
