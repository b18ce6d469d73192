"""The sampler: every pair once, within the limits, little padding, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from nmt.data.batching import BatchSampler

LENGTHS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=200)


def sampler_of(lengths: list[tuple[int, int]], **options: int) -> BatchSampler:
    source, target = np.array(lengths).T
    return BatchSampler([source], [target], **({"seed": 1} | options))


def random_lengths(count: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Source and target lengths like those of sentences: spread, and alike in a pair."""
    rng = np.random.default_rng(seed)
    source = rng.poisson(12, count) + 1
    return source, np.maximum(1, source + rng.integers(-3, 4, count))


def flat(batches: list[NDArray[np.int64]]) -> list[int]:
    return np.concatenate(batches).tolist()


def size_of(lengths: list[tuple[int, int]], batch: NDArray[np.int64]) -> int:
    """Tokens of the larger side, padding and EOS counted."""
    return len(batch) * max(max(lengths[pair]) + 1 for pair in batch)


@given(LENGTHS, st.integers(1, 300), st.integers(0, 5), st.integers(0, 5))
def test_every_pair_is_seen_exactly_once_and_within_the_budget(
    lengths: list[tuple[int, int]], budget: int, seed: int, epoch: int
) -> None:
    batches = sampler_of(lengths, seed=seed, batch_tokens=budget).batches(epoch)
    assert sorted(flat(batches)) == list(range(len(lengths)))
    for batch in batches:
        assert size_of(lengths, batch) <= budget or len(batch) == 1
        assert (np.diff(batch) > 0).all()


@given(LENGTHS, st.integers(1, 50))
def test_every_pair_is_seen_exactly_once_with_batches_by_sentences(
    lengths: list[tuple[int, int]], size: int
) -> None:
    batches = sampler_of(lengths, batch_sentences=size).batches(0)
    assert sorted(flat(batches)) == list(range(len(lengths)))
    assert max(map(len, batches)) <= size


@given(LENGTHS)
def test_both_limits_hold_together(lengths: list[tuple[int, int]]) -> None:
    batches = sampler_of(lengths, batch_tokens=100, batch_sentences=4).batches(0)
    assert sorted(flat(batches)) == list(range(len(lengths)))
    assert all(len(batch) <= 4 for batch in batches)
    assert all(size_of(lengths, batch) <= 100 or len(batch) == 1 for batch in batches)


def test_batches_are_filled() -> None:
    # 5 tokens and EOS: 16 sentences fill 96 of 100 tokens, a 17th has no room. The first cut
    # is anywhere, so that besides the full batches there is a part of one at either end.
    sizes = sorted(map(len, sampler_of([(5, 5)] * 160, batch_tokens=100).batches(0)))
    assert sizes[-9:] == [16] * 9
    assert sum(sizes) == 160
    assert len(sizes) <= 11


def test_a_sentence_over_the_budget_is_a_batch_by_itself() -> None:
    batches = sampler_of([(3, 3), (500, 3), (3, 500), (3, 3)], batch_tokens=50).batches(0)
    by_themselves = sorted(batch.tolist() for batch in batches)
    assert [1] in by_themselves
    assert [2] in by_themselves


def test_lengths_that_are_too_large_for_the_sorting_key_are_batched_all_the_same() -> None:
    lengths = [(100_000, 1), (1, 100_000), (40_000, 40_000), (2, 2), (2, 2)]
    batches = sampler_of(lengths, batch_tokens=1000).batches(0)
    assert sorted(flat(batches)) == [0, 1, 2, 3, 4]


def test_the_same_seed_and_epoch_give_the_same_batches() -> None:
    source, target = random_lengths(2000)
    samplers = [BatchSampler([source], [target], seed=3, batch_tokens=500) for _ in range(2)]
    samplers[1].batches(1)  # what was asked before does not matter
    for left, right in zip(samplers[0].batches(4), samplers[1].batches(4), strict=True):
        assert left.tolist() == right.tolist()


@pytest.mark.parametrize(("seed", "epoch"), [(3, 5), (4, 4)])
def test_another_seed_or_epoch_gives_other_batches_in_another_order(seed: int, epoch: int) -> None:
    source, target = random_lengths(2000)
    one = BatchSampler([source], [target], seed=3, batch_tokens=500).batches(4)
    other = BatchSampler([source], [target], seed=seed, batch_tokens=500).batches(epoch)
    assert flat(one) != flat(other)
    assert {tuple(batch) for batch in one} != {tuple(batch) for batch in other}


def test_batches_do_not_come_by_length() -> None:
    source, target = random_lengths(5000)
    batches = BatchSampler([source], [target], seed=1, batch_tokens=500).batches(0)
    means = np.array([target[batch].mean() for batch in batches])
    # Of independent numbers, neighbours correlate by 0 with a deviation of 1 / sqrt(150).
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.35


def test_little_of_a_batch_is_padding() -> None:
    source, target = random_lengths(29_000)
    batches = BatchSampler([source], [target], seed=1, batch_tokens=4000).batches(0)
    cells = sum(len(b) * (source[b].max() + target[b].max() + 2) for b in batches)
    tokens = source.sum() + target.sum() + 2 * len(source)
    assert 1 - tokens / cells < 0.05


def test_pairs_are_numbered_through_the_corpora() -> None:
    lengths = [np.full(3, 5), np.full(4, 5)]
    batches = BatchSampler(lengths, lengths, seed=1, batch_sentences=2).batches(0)
    assert sorted(flat(batches)) == list(range(7))


def test_whole_weights_are_copies() -> None:
    lengths = [np.full(3, 5), np.full(4, 5)]
    sampler = BatchSampler(lengths, lengths, weights=[2.0, 1.0], seed=1, batch_sentences=5)
    assert sorted(flat(sampler.batches(0))) == [0, 0, 1, 1, 2, 2, 3, 4, 5, 6]


def test_fractions_of_a_weight_are_a_share_of_the_pairs_that_changes() -> None:
    lengths = [np.full(100, 5), np.full(10, 5)]
    sampler = BatchSampler(lengths, lengths, weights=[0.25, 1.5], seed=1, batch_sentences=7)
    counts = np.zeros(110)
    for epoch in range(200):
        seen = np.bincount(flat(sampler.batches(epoch)), minlength=110)
        assert seen[:100].sum() == 25
        assert seen[100:].sum() == 15
        assert seen[:100].max() == 1
        assert set(seen[100:]) == {1, 2}
        counts += seen
    # Each pair: 200 draws with a chance of 1/4 have a deviation of 6.
    assert abs(counts[:100] - 50).max() < 30
    assert abs(counts[100:] - 300).max() < 30


def test_a_fraction_of_a_single_pair_is_right_on_average() -> None:
    lengths = [np.full(1, 5), np.full(1, 5)]
    sampler = BatchSampler(lengths, lengths, weights=[0.3, 1.0], seed=1, batch_sentences=2)
    seen = sum(len(flat(sampler.batches(epoch))) - 1 for epoch in range(1000))
    assert abs(seen - 300) < 60
