from math import inf
from unittest import mock

import pytest
import torch
from hypothesis import given, settings, strategies as st

from nmt.search import ranking
from nmt.search.ranking import rank_continuations


def plain_ranking(log_probabilities, totals, slots, count):
    """(total, row, token) of the best, by sorting everything."""
    ranked = []
    for sentence in slots.tolist():
        everything = [
            (float(totals[row] + log_probabilities[row, token]), row, token)
            for row in sentence
            if row < len(totals)
            for token in range(log_probabilities.shape[1])
        ]
        ranked.append(sorted(everything, key=lambda item: -item[0])[:count])
    return ranked


@settings(deadline=None, max_examples=60)
@given(
    vocabulary_size=st.integers(5, 300),
    widths=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    count=st.integers(1, 12),
    num_values=st.sampled_from([2, 10, 100_000]),
    seed=st.integers(0, 1000),
    few=st.sampled_from([0, 2**17]),
)
def test_equals_sorting_everything_ties_included(
    vocabulary_size, widths, count, num_values, seed, few
):
    num_rows = sum(widths)
    if num_rows == 0:
        widths, num_rows = [1], 1
    generator = torch.Generator().manual_seed(seed)
    # Few distinct values, multiples of a power of two: sums are exact and many are equal.
    scores = -torch.randint(num_values, (num_rows, vocabulary_size), generator=generator) / 64
    totals = -torch.randint(num_values, (num_rows,), generator=generator) / 64
    slots = torch.full((len(widths), max(widths)), num_rows)
    row = 0
    for sentence, width in enumerate(widths):
        slots[sentence, :width] = torch.arange(row, row + width)
        row += width

    with mock.patch.object(ranking, "_FEW", few):
        found = rank_continuations(scores, totals, slots, count)

    expected = plain_ranking(scores, totals, slots, count)
    for sentence, best in enumerate(expected):
        exists = found.totals[sentence] != -inf
        triples = zip(
            found.totals[sentence][exists].tolist(),
            found.rows[sentence][exists].tolist(),
            found.tokens[sentence][exists].tolist(),
            strict=True,
        )
        assert list(triples) == best
        assert exists.tolist() == sorted(exists.tolist(), reverse=True)


def test_what_is_impossible_ranks_last():
    scores = torch.tensor([[-inf, -1.0, -inf]])
    found = rank_continuations(scores, torch.zeros(1), torch.tensor([[0]]), 2)
    assert found.tokens[0, 0] == 1
    assert found.totals.tolist() == [[-1.0, -inf]]


@pytest.mark.parametrize("size", [63, 64, 65, 128, 129])
def test_the_last_token_is_found(size: int):
    scores = torch.full((1, size), -5.0)
    scores[0, -1] = -1.0
    found = rank_continuations(scores, torch.zeros(1), torch.tensor([[0]]), 1)
    assert found.tokens.tolist() == [[size - 1]]
