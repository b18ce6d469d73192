"""The beam of a graph finds what `BeamSearch` finds."""

from itertools import groupby, pairwise

import pytest
import torch

from nmt.core.special_tokens import BOS, EOS, SPECIAL_SYMBOLS
from nmt.export.beam_search import ExportableBeamSearch
from nmt.search.beam import BeamSearch
from nmt.search.hypothesis import Hypothesis
from nmt.search.length_penalty import AveragePenalty
from nmt.search.rules import LengthLimits, Rules
from nmt.search.search import Scoring
from nmt.search.table import LENGTH_PENALTIES


def search(beam, model, sentences, lengths, beam_size, n_best):
    """The hypotheses, and the open sentences of each round."""
    num_open = []

    def step(tokens, state):
        num_open.append(len(tokens) // beam_size)
        return model.step(tokens, state)

    lengths = torch.tensor(lengths)
    places, ranks = torch.arange(beam_size), torch.arange(n_best)
    state = model.start(sentences)
    found = beam(step, state, lengths, int(lengths.max()), places, ranks)
    rounds = [number for number, _ in groupby(num_open)]
    return [
        [
            Hypothesis(
                tuple(found.tokens[row, rank, : found.lengths[row, rank]].tolist()),
                float(found.log_probabilities[row, rank]),
                float(found.scores[row, rank]),
            )
            for rank in range(n_best)
            if found.scores[row, rank] > -torch.inf
        ]
        for row in range(len(sentences))
    ], rounds


LIMITS = [
    LengthLimits(max_length=15, max_length_ratio=None),
    LengthLimits(min_length=3, max_length=12, max_length_ratio=1.0),
    LengthLimits(min_length_ratio=1.5, max_length=20, max_length_ratio=2.0),
]


@pytest.mark.parametrize("limits", LIMITS, ids=["free", "least", "ratio"])
@pytest.mark.parametrize("penalty", sorted(LENGTH_PENALTIES))
@pytest.mark.parametrize(("beam_size", "n_best"), [(1, 1), (5, 1), (5, 3), (8, 8)])
def test_it_finds_the_same_as_beam_search(random_model, limits, penalty, beam_size, n_best):
    model, penalty = random_model(50, seed=beam_size), LENGTH_PENALTIES[penalty]()
    sentences, lengths = list(range(20)), [1 + number % 7 for number in range(20)]
    beam = BeamSearch(beam_size, n_best, Scoring(penalty), Rules(limits))
    expected = model.translate(beam, sentences, lengths)
    found, _ = search(
        ExportableBeamSearch(penalty, limits), model, sentences, lengths, beam_size, n_best
    )
    for mine, theirs in zip(found, expected, strict=True):
        assert [item.tokens for item in mine] == [item.tokens for item in theirs]
        assert [item.score for item in mine] == pytest.approx([item.score for item in theirs])
        log_probabilities = [item.log_probability for item in theirs]
        assert [item.log_probability for item in mine] == pytest.approx(log_probabilities)


@pytest.mark.parametrize("kind", ["graph", "beam"])
def test_search_waits_for_a_hypothesis_that_wins_by_length(random_model, kind):
    """X ends with a mean of -0.58 / 2; A B has -1 and costs nothing more: -1 / 4 at 3 tokens."""
    model = random_model(12, 0)
    model.table[:] = -50.0
    first, second, third, short = range(4, 8)
    costs = {(): {first: -1.0, short: -0.58}, (short,): {EOS: 0.0}, (first,): {second: 0.0}}
    costs |= {(first, second): {third: 0.0}, (first, second, third): {EOS: 0.0}}
    for words, following in costs.items():
        state = model.start([0])
        for token in (BOS, *words):
            _, state = model.step(torch.tensor([token]), state)
        for token, cost in following.items():
            model.table[state.context, token] = cost
    limits = LengthLimits(max_length=3, max_length_ratio=None)
    if kind == "graph":
        ((best,),), _ = search(
            ExportableBeamSearch(AveragePenalty(), limits), model, [0], [3], 2, 1
        )
    else:
        ((best,),) = model.translate(
            BeamSearch(2, 1, Scoring(AveragePenalty()), Rules(limits)), [0], [3]
        )
    assert (best.tokens, best.score) == ((first, second, third), -0.25)


def test_finished_sentences_leave_the_batch(random_model):
    limits = LengthLimits(min_length_ratio=1.0, max_length=60)
    sentences, lengths = list(range(40)), list(range(1, 41))
    beam = ExportableBeamSearch(AveragePenalty(), limits)
    _, rounds = search(beam, random_model(50, 0), sentences, lengths, 4, 1)
    assert rounds[0] == 40
    assert len(rounds) > 3
    assert all(after <= before * 3 / 4 for before, after in pairwise(rounds))


def test_minimum_length_overrides_the_maximum(random_model):
    limits = LengthLimits(min_length_ratio=3.0, max_length=60, max_length_ratio=1.0)
    model, given = random_model(50, seed=1), ([0, 1], [7, 12])
    found, _ = search(ExportableBeamSearch(AveragePenalty(), limits), model, *given, 2, 1)
    expected = model.translate(BeamSearch(2, 1, Scoring(AveragePenalty()), Rules(limits)), *given)
    tokens = [best.tokens for (best,) in found]
    assert tokens == [best.tokens for (best,) in expected]
    assert [len(each) for each in tokens] == [21, 36]


def test_small_batches_are_not_reduced(random_model):
    limits = LengthLimits(min_length_ratio=1.0, max_length=60)
    for count, together in ((8, True), (9, False)):
        lengths = list(range(1, 5 * count, 5))
        beam = ExportableBeamSearch(AveragePenalty(), limits)
        _, rounds = search(beam, random_model(50, 0), list(range(count)), lengths, 4, 1)
        assert (rounds == [count]) == together


@pytest.mark.parametrize("spare", [0, 3])
def test_the_smallest_vocabulary(random_model, spare):
    """As many continuations are looked at as may be refused, and one for each place."""
    beam_size = 2
    model = random_model(beam_size + len(SPECIAL_SYMBOLS) + spare, seed=3)
    model.table[:, : len(SPECIAL_SYMBOLS)] += 5.0  # all that is refused is more probable
    model.table[:] = model.table.log_softmax(dim=1)
    limits = LengthLimits(min_length=4, max_length=6, max_length_ratio=None)
    beam = BeamSearch(beam_size, 2, Scoring(AveragePenalty()), Rules(limits))
    expected = model.translate(beam, [1, 2], [3, 3])
    found, _ = search(
        ExportableBeamSearch(AveragePenalty(), limits), model, [1, 2], [3, 3], beam_size, 2
    )
    assert [[item.tokens for item in each] for each in found] == [
        [item.tokens for item in each] for each in expected
    ]
    assert all(EOS not in item.tokens for each in found for item in each)
