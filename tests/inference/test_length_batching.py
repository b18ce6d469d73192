import pytest
from hypothesis import given, strategies as st

from nmt.inference import length_batching
from nmt.inference.length_batching import full_batches, like_batches, windows


@given(st.lists(st.integers(0, 30)), st.integers(1, 5), st.integers(1, 40))
def test_windows_hold_everything_in_order_and_are_bounded(sizes, most_items, most_size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(length_batching, "_MOST_ITEMS", most_items)
        patch.setattr(length_batching, "_MOST_SIZE", most_size)
        found = list(windows(iter(sizes), lambda size: size))
    assert [size for window in found for size in window] == sizes
    assert all(0 < len(window) <= most_items for window in found)
    # Full is what has reached the limit: the last item may go beyond it, the others not.
    assert all(sum(window[:-1]) < most_size for window in found if len(window) > 1)
    assert all(len(window) == most_items or sum(window) >= most_size for window in found[:-1])


def test_a_window_is_not_read_before_it_is_wanted(monkeypatch):
    monkeypatch.setattr(length_batching, "_MOST_ITEMS", 3)
    taken = []

    def lines():
        for number in range(10):
            taken.append(number)
            yield "line"

    stream = windows(lines(), len)
    assert taken == []
    next(stream)
    assert taken == [0, 1, 2]


@given(st.lists(st.integers(1, 50)), st.integers(1, 100))
def test_batches_hold_each_sentence_once_within_the_limit(lengths, tokens):
    batches = like_batches(lengths, tokens)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[index] for index in batch)
        assert padded <= tokens or len(batch) == 1
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(lengths, reverse=True)


def test_batches_worked_by_hand():
    # 9 alone; 4, 4 make 8 of 10 tokens; 3, 2, 1 make 9.
    assert like_batches([1, 4, 9, 2, 4, 3], 10) == [[2], [1, 4], [5, 3, 0]]


def test_eos_counts_in_a_batch_and_lines_without_tokens_are_in_none():
    sources = [[5] * 4, [], [5] * 4, [5] * 2]
    assert full_batches(sources, 10) == [[0, 2], [3]]
    assert full_batches(sources, 9) == [[0], [2], [3]]
    assert full_batches(sources, 99) == [[0, 2, 3]]
