from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st

from nmt.data.shard import Shard


def portions(sizes: list[int], number: int) -> list[list[list[int]]]:
    ends = np.cumsum([0, *sizes])
    batches = [np.arange(a, b) for a, b in pairwise(ends)]
    found = [Shard(rank, number).select(batches) for rank in range(number)]
    return [[batch.tolist() for batch in portion] for portion in found]


@pytest.mark.parametrize(
    ("sizes", "number", "expected"),
    [
        ([3, 2], 1, [[[0, 1, 2], [3, 4]]]),
        ([5], 2, [[[0, 1, 2]], [[3, 4]]]),  # cut in two
        ([2, 2], 2, [[[0, 1]], [[2, 3]]]),  # whole batches
        ([1, 1, 1, 1], 2, [[[0], [2]], [[1], [3]]]),
        ([2, 2, 3], 2, [[[0, 1], [4, 5]], [[2, 3], [6]]]),  # two whole, the third cut
        ([4, 4], 4, [[[0, 1]], [[2, 3]], [[4, 5]], [[6, 7]]]),  # each cut between two
        ([4, 3], 3, [[[0, 1]], [[2, 3]], [[4, 5, 6]]]),
        ([1], 3, [[[0]], [], []]),  # fewer sentences than processes
    ],
)
def test_shards_of_small_updates(
    sizes: list[int], number: int, expected: list[list[list[int]]]
) -> None:
    assert portions(sizes, number) == expected


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 6))
def test_each_sentence_is_computed_once(sizes: list[int], number: int) -> None:
    found = portions(sizes, number)
    pairs = [pair for portion in found for batch in portion for pair in batch]
    assert sorted(pairs) == list(range(sum(sizes)))
    assert all(batch for portion in found for batch in portion)
    assert max(map(len, found)) - min(map(len, found)) <= 1


@pytest.mark.parametrize(
    ("num_batches", "number", "expected"),
    [(3, 1, [1, 1, 1]), (1, 4, [4]), (2, 4, [2, 2]), (2, 5, [3, 2]), (3, 2, [1, 1, 2])],
)
def test_ranks_per_batch_matches_the_shards(
    num_batches: int, number: int, expected: list[int]
) -> None:
    """As many as have a part of it, where it has sentences for all of them."""
    assert Shard(0, number).ranks_per_batch(num_batches) == expected
    found = portions([9] * num_batches, number)
    for index, num_sharing in enumerate(expected):
        parts = [batch for portion in found for batch in portion if batch[0] // 9 == index]
        assert len(parts) == num_sharing
