"""The sampler: every pair once, within the limits, little padding, the same for the same seed."""

import math
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from nmt.data.batching import Batches, BatchSampler, PairLengths, Shard
from nmt.data.ragged import RaggedArray, compact_lengths

LENGTHS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=200)


def batches_of(lengths: list[tuple[int, int]], epoch: int = 0, **options: int) -> Batches:
    source, target = np.array(lengths).T
    sampler = BatchSampler([len(lengths)], **({"seed": 1} | options))
    return sampler.batches(epoch, PairLengths(source, target))


def random_lengths(count: int, seed: int = 0) -> PairLengths:
    """Source and target lengths like those of sentences: spread, and alike in a pair."""
    rng = np.random.default_rng(seed)
    source = rng.poisson(12, count) + 1
    target = np.maximum(1, source + rng.integers(-3, 4, count))
    return PairLengths(source.astype(np.uint8), target.astype(np.uint8))


def alike(count: int) -> PairLengths:
    """Sentences of 5 tokens."""
    return PairLengths(np.full(count, 5), np.full(count, 5))


def flat(batches: Batches) -> list[int]:
    return np.concatenate(list(batches)).tolist()


def size_of(lengths: list[tuple[int, int]], batch: NDArray[np.int64]) -> int:
    """Tokens of the larger side, padding and EOS counted."""
    return len(batch) * max(max(lengths[pair]) + 1 for pair in batch)


@given(LENGTHS, st.integers(1, 300), st.integers(0, 5), st.integers(0, 5))
def test_every_pair_is_seen_exactly_once_and_within_the_budget(
    lengths: list[tuple[int, int]], budget: int, seed: int, epoch: int
) -> None:
    batches = batches_of(lengths, epoch, seed=seed, batch_tokens=budget)
    assert sorted(flat(batches)) == list(range(len(lengths)))
    for batch in batches:
        assert size_of(lengths, batch) <= budget or len(batch) == 1
        assert (np.diff(batch) > 0).all()


@given(LENGTHS, st.integers(1, 50))
def test_every_pair_is_seen_exactly_once_with_batches_by_sentences(
    lengths: list[tuple[int, int]], size: int
) -> None:
    batches = batches_of(lengths, batch_sentences=size)
    assert sorted(flat(batches)) == list(range(len(lengths)))
    assert max(map(len, batches)) <= size


@given(LENGTHS)
def test_both_limits_hold_together(lengths: list[tuple[int, int]]) -> None:
    batches = batches_of(lengths, batch_tokens=100, batch_sentences=4)
    assert sorted(flat(batches)) == list(range(len(lengths)))
    assert all(len(batch) <= 4 for batch in batches)
    assert all(size_of(lengths, batch) <= 100 or len(batch) == 1 for batch in batches)


def test_batches_are_filled() -> None:
    # 5 tokens and EOS: 16 sentences fill 96 of 100 tokens, a 17th has no room. The first cut
    # is anywhere, so that besides the full batches there is a part of one at either end.
    sizes = sorted(map(len, batches_of([(5, 5)] * 160, batch_tokens=100)))
    assert sizes[-9:] == [16] * 9
    assert sum(sizes) == 160
    assert len(sizes) <= 11


def test_sentence_over_the_budget_is_a_batch_of_one() -> None:
    batches = batches_of([(3, 3), (500, 3), (3, 500), (3, 3)], batch_tokens=50)
    by_themselves = sorted(batch.tolist() for batch in batches)
    assert [1] in by_themselves
    assert [2] in by_themselves


def test_lengths_that_are_too_large_for_the_sorting_key_are_batched_all_the_same() -> None:
    lengths = [(100_000, 1), (1, 100_000), (40_000, 40_000), (2, 2), (2, 2)]
    batches = batches_of(lengths, batch_tokens=1000)
    assert sorted(flat(batches)) == [0, 1, 2, 3, 4]


def test_the_same_seed_and_epoch_give_the_same_batches() -> None:
    lengths = random_lengths(2000)
    samplers = [BatchSampler([2000], seed=3, batch_tokens=500) for _ in range(2)]
    samplers[1].batches(1, lengths)  # what was asked before does not matter
    one, other = (sampler.batches(4, lengths) for sampler in samplers)
    assert [batch.tolist() for batch in one] == [batch.tolist() for batch in other]


@pytest.mark.parametrize(("seed", "epoch"), [(3, 5), (4, 4)])
def test_another_seed_or_epoch_gives_other_batches_in_another_order(seed: int, epoch: int) -> None:
    lengths = random_lengths(2000)
    one = BatchSampler([2000], seed=3, batch_tokens=500).batches(4, lengths)
    other = BatchSampler([2000], seed=seed, batch_tokens=500).batches(epoch, lengths)
    assert flat(one) != flat(other)
    assert {tuple(batch) for batch in one} != {tuple(batch) for batch in other}


def test_batches_do_not_come_by_length() -> None:
    lengths = random_lengths(5000)
    batches = BatchSampler([5000], seed=1, batch_tokens=500).batches(0, lengths)
    means = np.array([lengths.target[batch].mean() for batch in batches])
    # Of independent numbers, neighbours correlate by 0 with a deviation of 1 / sqrt(150).
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.35


def test_little_of_a_batch_is_padding() -> None:
    lengths = random_lengths(29_000)
    source, target = lengths.source.astype(np.int64), lengths.target.astype(np.int64)
    batches = BatchSampler([29_000], seed=1, batch_tokens=4000).batches(0, lengths)
    cells = sum(len(b) * (source[b].max() + target[b].max() + 2) for b in batches)
    tokens = source.sum() + target.sum() + 2 * len(source)
    assert 1 - tokens / cells < 0.05


def test_band_rises_after_a_falling_band() -> None:
    """So there is no jump in source length from one band to the next, and no padding there."""
    source, target = (side.flatten() for side in np.meshgrid(np.arange(20), np.arange(40)))
    sampler = BatchSampler([800], seed=1, batch_sentences=10)
    for epoch in range(9):
        row = sampler.batches(epoch, PairLengths(source, target)).pairs
        steps = np.diff(source[row])
        assert abs(steps).max() == 1
        directions = steps[steps != 0]
        assert (np.diff(directions) != 0).sum() >= 8, "there are a dozen bands of 6 batches"


def test_direction_of_the_first_band_is_random() -> None:
    source, target = (side.flatten() for side in np.meshgrid(np.arange(20), np.arange(40)))
    # The shortest targets fill 3% of a band: the first band starts with them in any epoch.
    sampler = BatchSampler([800], seed=1, batch_sentences=100)
    rows = [sampler.batches(epoch, PairLengths(source, target)).pairs for epoch in range(20)]
    num_up = sum(int(source[row[0]] == 0) for row in rows)
    assert 4 <= num_up <= 16  # 10 are expected, with a deviation of 2.2


def test_pairs_are_numbered_through_the_corpora() -> None:
    batches = BatchSampler([3, 4], seed=1, batch_sentences=2).batches(0, alike(7))
    assert sorted(flat(batches)) == list(range(7))


def test_whole_weights_are_copies() -> None:
    sampler = BatchSampler([3, 4], weights=[2.0, 1.0], seed=1, batch_sentences=5)
    assert sorted(flat(sampler.batches(0, alike(7)))) == [0, 0, 1, 1, 2, 2, 3, 4, 5, 6]


def test_fractions_of_a_weight_are_a_share_of_the_pairs_that_changes() -> None:
    sampler = BatchSampler([100, 10], weights=[0.25, 1.5], seed=1, batch_sentences=7)
    counts = np.zeros(110)
    for epoch in range(200):
        seen = np.bincount(flat(sampler.batches(epoch, alike(110))), minlength=110)
        assert seen[:100].sum() == 25
        assert seen[100:].sum() == 15
        assert seen[:100].max() == 1
        assert set(seen[100:]) == {1, 2}
        counts += seen
    # Each pair: 200 draws with a chance of 1/4 have a deviation of 6.
    assert abs(counts[:100] - 50).max() < 30
    assert abs(counts[100:] - 300).max() < 30


def test_a_fraction_of_a_single_pair_is_right_on_average() -> None:
    sampler = BatchSampler([1, 1], weights=[0.3, 1.0], seed=1, batch_sentences=2)
    seen = sum(len(flat(sampler.batches(epoch, alike(2)))) - 1 for epoch in range(1000))
    assert abs(seen - 300) < 60


def test_an_epoch_may_be_empty() -> None:
    sampler = BatchSampler([1], weights=[0.01], seed=1, batch_sentences=2)
    assert {len(sampler.batches(epoch, alike(1))) for epoch in range(9)} == {0}


def test_a_share_is_drawn_from_all_of_a_large_corpus() -> None:
    sampler = BatchSampler([100_000], weights=[0.01], seed=1, batch_sentences=100)
    chosen = [set(flat(sampler.batches(epoch, alike(100_000)))) for epoch in (0, 1)]
    assert [len(pairs) for pairs in chosen] == [1000, 1000]
    assert len(chosen[0] & chosen[1]) < 40  # 10 are expected
    tenths = np.bincount([pair // 10_000 for pair in chosen[0]])
    assert tenths.min() > 80 and tenths.max() < 120


def test_a_batch_holds_pairs_from_all_over_the_corpus() -> None:
    batches = BatchSampler([100_000], seed=1, batch_sentences=1000).batches(0, alike(100_000))
    for batch in list(batches)[1:-1]:
        # The mean of 1,000 numbers from 0 to 99,999 has a deviation of 913.
        assert abs(batch.mean() - 50_000) < 5000 or len(batch) < 1000


def test_batches_are_shuffled_despite_long_sentences() -> None:
    ends = np.arange(40_000)  # as many lengths as there can be
    lengths = np.concatenate([np.full(60_000, 5), ends])
    sampler = BatchSampler([100_000], seed=1, batch_tokens=6000)
    batches = list(sampler.batches(0, PairLengths(lengths, lengths)))
    alike = [batch for batch in batches if len(batch) == 1000 and batch[-1] < 60_000]
    assert len(alike) > 50
    assert all(abs(batch.mean() - 30_000) < 4000 for batch in alike)


@pytest.mark.parametrize("weights", [[1.0], [1.5]])
def test_an_epoch_takes_few_bytes_a_pair(weights: list[float]) -> None:
    size = 1_000_000
    seen = size * weights[0]
    sampler = BatchSampler([size], weights=weights, seed=1, batch_tokens=4000)
    tracemalloc.start()
    try:
        rows = RaggedArray(np.empty(0), np.arange(0, 20 * size + 1, 20))
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        lengths = PairLengths(compact_lengths([rows]), compact_lengths([rows]))
        batches = sampler.batches(0, lengths)
        peak = tracemalloc.get_traced_memory()[1] - before
        del lengths
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(batches) > 5000
    assert peak <= 15 * seen
    assert held <= 4.2 * seen


def test_planning_batches_of_one_sentence_is_fast() -> None:
    lengths = PairLengths(np.full(30_000, 9, np.uint8), np.full(30_000, 9, np.uint8))
    batches = BatchSampler([30_000], seed=1, batch_sentences=1).batches(0, lengths)
    held = batches.pairs.nbytes + batches.cuts.nbytes + batches.order.nbytes
    assert held == 12 * 30_000 + 4


@pytest.mark.parametrize(
    ("limits", "num_batches"),
    [
        ({"batch_sentences": 10}, 60),
        # Each pair takes its longer side and EOS: 10 * (2 + 3 + ... + 61) tokens.
        ({"batch_tokens": 315}, 60),
        ({"batch_tokens": 315, "batch_sentences": 5}, 120),  # each pair takes a fifth
    ],
)
def test_a_band_is_six_batches_of_neighbouring_lengths(
    limits: dict[str, int], num_batches: float
) -> None:
    target = np.repeat(np.arange(1, 61), 10)
    lengths = PairLengths(np.ones_like(target), target)
    sampler = BatchSampler([600], seed=1, **limits)
    keys = np.arange(600, dtype=np.uint64)
    numbers = [
        int(sampler._bands(keys, lengths, np.random.default_rng(seed))[-1]) for seed in range(40)
    ]
    # The first band begins anywhere within six batches.
    assert set(numbers) <= {math.floor(num_batches / 6), math.ceil(num_batches / 6)}
    assert np.mean(numbers) == pytest.approx(num_batches / 6, abs=0.3)


@pytest.mark.parametrize(
    "limits",
    [
        {"batch_sentences": 10},
        {"batch_tokens": 69},  # eleven sentences of 5 tokens and EOS make 66
        {"batch_sentences": 10, "batch_tokens": 999},
        {"batch_sentences": 999, "batch_tokens": 69},
    ],
)
def test_all_batches_are_full_but_the_first_and_the_last(limits: dict[str, int]) -> None:
    most = 11 if limits.get("batch_tokens") == 69 else 10
    lengths = PairLengths(np.full(100, 5), np.full(100, 4))
    firsts = set()
    for epoch in range(30):
        batches = BatchSampler([100], seed=1, **limits).batches(epoch, lengths)
        first, *middle, last = np.diff(batches.cuts.astype(np.int64)).tolist()
        assert set(middle) == {most}
        assert 1 <= first <= most and 1 <= last <= most
        firsts.add(first)
    assert len(firsts) > 5, "the first is as large as chance has it"


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
