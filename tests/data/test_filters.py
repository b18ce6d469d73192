"""Filters: what stays, and what is counted for which reason."""

import numpy as np
from hypothesis import given, strategies as st

from nmt.data.filters import FilterReport, Filters, PairFilter, SeenHashes, hash_pairs


def apply(filters: Filters, lengths: list[tuple[int, int]]) -> tuple[list[bool], FilterReport]:
    """Filter pairs of these lengths; the text tells them apart by their lengths alone."""
    pairs = [("a " * source, "b " * target) for source, target in lengths]
    keep, report = PairFilter(filters)(*np.array(lengths).T, hash_pairs(pairs))
    return keep.tolist(), report


def test_pair_with_an_empty_side_is_dropped() -> None:
    keep, report = apply(Filters(), [(0, 3), (3, 0), (0, 0), (1, 3)])
    assert keep == [False, False, False, True]
    assert report == FilterReport(num_read=4, num_empty=3)


def test_the_longest_length_may_be_reached_on_both_sides() -> None:
    keep, report = apply(Filters(max_length=5), [(5, 5), (6, 1), (1, 6), (100_000, 3)])
    assert keep == [True, False, False, False]
    assert report == FilterReport(num_read=4, num_too_long=3)


def test_the_ratio_holds_in_both_directions() -> None:
    keep, report = apply(Filters(max_length_ratio=2.0), [(2, 4), (4, 2), (2, 5), (5, 2)])
    assert keep == [True, True, False, False]
    assert report == FilterReport(num_read=4, num_unequal=2)


def test_first_of_duplicates_is_kept_across_blocks() -> None:
    pair_filter = PairFilter(Filters(deduplicate=True))
    ones = np.ones(3, np.int64)
    keep, report = pair_filter(ones, ones, hash_pairs([("a", "b"), ("a", "c"), ("a", "b")]))
    assert keep.tolist() == [True, True, False]
    assert report == FilterReport(num_read=3, num_duplicates=1)
    keep, report = pair_filter(ones, ones, hash_pairs([("a", "c"), ("b", "a"), ("ab", "")]))
    assert keep.tolist() == [False, True, True]
    assert report == FilterReport(num_read=3, num_duplicates=1)


def test_filtered_pair_counts_for_the_first_reason() -> None:
    filters = Filters(max_length=10, max_length_ratio=2.0, deduplicate=True)
    keep, report = apply(filters, [(0, 20), (20, 1), (20, 1), (9, 3), (9, 3), (4, 4), (4, 4)])
    assert keep == [False, False, False, False, False, True, False]
    assert report == FilterReport(
        num_read=7, num_empty=1, num_too_long=2, num_unequal=2, num_duplicates=1
    )
    assert report.num_kept == 1


def test_reports_add_up() -> None:
    assert FilterReport(5, 1, 0, 2, 0) + FilterReport(7, 0, 3, 1, 1) == FilterReport(12, 1, 3, 3, 1)


def test_a_report_is_one_line() -> None:
    assert str(FilterReport(1234)) == "1,234 of 1,234 pairs kept"
    assert str(FilterReport(2000, 1, 20, 3, 4)) == (
        "1,972 of 2,000 pairs kept (1 empty, 20 too long, 3 too different in length, 4 duplicate)"
    )


@given(st.lists(st.lists(st.integers(0, 30)), max_size=20))
def test_seen_hashes_is_a_set(blocks: list[list[int]]) -> None:
    hashes = SeenHashes()
    seen: set[int] = set()
    for block in blocks:
        expected = []
        for number in block:
            expected.append(number not in seen)
            seen.add(number)
        assert hashes.add(np.array(block, np.uint64)).tolist() == expected


def test_pair_of_another_corpus_is_a_duplicate() -> None:
    before = [hash_pairs([("a", "b")]), hash_pairs([("c", "d")])]
    pair_filter = PairFilter(Filters(deduplicate=True), before)
    ones = np.ones(3, np.int64)
    keep, report = pair_filter(ones, ones, hash_pairs([("c", "d"), ("a", "d"), ("a", "b")]))
    assert keep.tolist() == [False, True, False]
    assert report == FilterReport(num_read=3, num_duplicates=2)
