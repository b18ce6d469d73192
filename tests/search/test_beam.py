from math import inf
from unittest import mock

import pytest
import torch
from hypothesis import given, settings, strategies as st

from nmt.core.special_tokens import BOS, EOS
from nmt.search import beam as beam_search
from nmt.search.beam import BeamSearch, rank_continuations
from nmt.search.greedy import GreedySearch
from nmt.search.length_penalty import AveragePenalty, GNMTPenalty, NoPenalty
from nmt.search.request import Request
from nmt.search.rules import LengthLimits, Rules
from nmt.search.search import Scoring, Stepper
from nmt.search.table import COVERAGE_PENALTIES, LENGTH_PENALTIES

PENALTIES = sorted(LENGTH_PENALTIES)
LIMITS = LengthLimits(max_length=15, max_length_ratio=None)
SENTENCES, LENGTHS = list(range(6)), [5] * 6


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("seed", range(3))
def test_a_beam_of_one_is_greedy(random_model, penalty, seed):
    model = random_model(50, seed)
    limits = LengthLimits(min_length=seed % 3, max_length=15, max_length_ratio=1.0)
    arguments = (1, 1, Scoring(LENGTH_PENALTIES[penalty]()), Rules(limits))
    beam, greedy = BeamSearch(*arguments), GreedySearch(*arguments)
    assert model.translate(beam, SENTENCES, LENGTHS) == model.translate(greedy, SENTENCES, LENGTHS)


def test_beam_of_one_is_greedy_with_tied_scores(random_model):
    model = random_model(200, seed=0)
    model.table[:] = (model.table * 2).round() / 2  # many equal log-probabilities
    arguments = (1, 1, Scoring(AveragePenalty()), Rules(LIMITS))
    beam, greedy = BeamSearch(*arguments), GreedySearch(*arguments)
    assert model.translate(beam, SENTENCES, LENGTHS) == model.translate(greedy, SENTENCES, LENGTHS)


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(
    ("coverage", "seed", "n_best"),
    [
        *(("none", seed, n_best) for seed in range(2) for n_best in (1, 3, 400)),
        *((coverage, 1, 3) for coverage in COVERAGE_PENALTIES if coverage != "none"),
    ],
)
def test_a_beam_as_wide_as_the_space_is_exhaustive(random_model, penalty, coverage, seed, n_best):
    model = random_model(EOS + 4, seed)
    limits = LengthLimits(min_length=seed % 2, max_length=4, max_length_ratio=None)
    scoring = Scoring(LENGTH_PENALTIES[penalty](), COVERAGE_PENALTIES[coverage]())
    search = BeamSearch(400, n_best, scoring, Rules(limits))
    sentences = [seed, seed + 10]
    found = model.translate(search, sentences, [3, 3])
    for sentence, hypotheses in zip(sentences, found, strict=True):
        best = model.all_hypotheses(sentence, search.scoring, limits, 3)[:n_best]
        assert [item.tokens for item in hypotheses] == [item.tokens for item in best]
        assert [item.score for item in hypotheses] == pytest.approx(
            [item.score for item in best], abs=1e-5
        )


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("seed", range(3))
def test_fewer_translations_are_the_first_of_more(random_model, penalty, seed):
    model = random_model(50, seed)
    model.table[:, EOS] += 1.0
    found = {
        n_best: model.translate(
            BeamSearch(5, n_best, Scoring(LENGTH_PENALTIES[penalty]()), Rules(LIMITS)),
            *(SENTENCES, LENGTHS),
        )
        for n_best in (1, 2, 5)
    }
    for one, two, five in zip(found[1], found[2], found[5], strict=True):
        assert len(five) == 5
        assert one == five[:1]
        assert two == five[:2]
        assert [item.score for item in five] == sorted((item.score for item in five), reverse=True)
        assert len({item.tokens for item in five}) == 5


def test_fewer_translations_if_the_search_finds_fewer(random_model):
    model = random_model(EOS + 2, seed=0)
    limits = LengthLimits(max_length=1, max_length_ratio=None)
    search = BeamSearch(5, 5, Scoring(NoPenalty()), Rules(limits))
    ((*found,),) = model.translate(search, [0], [3])
    assert {item.tokens for item in found} == {(), (4,)}


def test_beam_of_two_finds_a_better_translation_than_greedy():
    # After BOS: 5 (0.6), 4 (0.4). After 5 all is uncertain, after 4 the end is certain.
    table = torch.full((6, 6), 1e-9)
    table[BOS, [4, 5]] = torch.tensor([0.4, 0.6])
    table[5, [3, 4, 5]] = torch.tensor([0.4, 0.3, 0.3])
    table[4, 3] = 1.0
    search = BeamSearch(2, 2, Scoring(NoPenalty()), Rules(LengthLimits()))
    model = Stepper(lambda tokens, state: (table[tokens].log(), state))
    ((first, second),) = search(model, None, Request(torch.tensor([3])))
    assert (first.tokens, second.tokens) == ((4,), (5,))
    assert first.log_probability == pytest.approx(float(torch.tensor(0.4).log()), abs=1e-6)
    assert second.log_probability == pytest.approx(float(torch.tensor(0.24).log()), abs=1e-6)


def test_the_search_stops_when_nothing_open_can_win(random_model):
    model = random_model(50, seed=1)
    model.table[:] = -10.0
    model.table[:, EOS] = -0.1
    # EOS alone scores -0.1; without a penalty what is open, at -10, can only fall.
    model.translate(BeamSearch(5, 1, Scoring(NoPenalty()), Rules(LIMITS)), [0], [3])
    assert model.num_calls == 1
    # ((5 + 16) / 6) ** 0.6 = 2.1: -10 over it is still worse than -0.1.
    model.translate(BeamSearch(5, 1, Scoring(GNMTPenalty()), Rules(LIMITS)), [0], [3])
    assert model.num_calls == 2


def test_it_may_stop_at_the_first_that_ends(random_model):
    # As in the test below, where the best is the longest; here the end comes first, and is taken.
    model = random_model(EOS + 2, seed=1)
    model.table[:, EOS], model.table[:, 4] = -0.4, -0.3
    search = BeamSearch(2, 1, Scoring(AveragePenalty()), Rules(LIMITS), stopping="first")
    ((best,),) = model.translate(search, [0], [3])
    assert best.tokens == ()
    assert model.num_calls == 1
    ((best,),) = model.translate(
        BeamSearch(2, 1, Scoring(AveragePenalty()), Rules(LIMITS)), [0], [3]
    )
    assert len(best.tokens) == 15


def test_search_continues_while_an_open_hypothesis_can_win(random_model):
    # EOS at once: -1.2, the mean of one token. Else -0.3 and then words and EOS at -0.3 each.
    model = random_model(EOS + 2, seed=1)
    model.table[:, EOS], model.table[:, 4] = -1.2, -0.3
    search = BeamSearch(2, 1, Scoring(AveragePenalty()), Rules(LIMITS))
    ((best,),) = model.translate(search, [0], [3])
    # 15 words: (15 * -0.3 - 1.2) / 16; any shorter hypothesis has a lower mean.
    assert best.tokens == (4,) * 15
    assert best.score == pytest.approx(-5.7 / 16)


def test_a_state_of_nested_parts_follows_its_hypothesis(random_model):
    model = random_model(30, seed=8)

    def step(tokens, state):
        (history, (words,)), nothing = state
        scores, history = model.step(tokens, history)
        # Each row carries all of its words: they must be those of one path.
        words = torch.cat([words, tokens.unsqueeze(1)], dim=1)
        context = words[:, 0] * 0 + history.sentence * 31
        for word in words.unbind(1):
            context = (context * 37 + word * 101 + 17) % 1009
        assert torch.equal(context, history.context)
        return scores, ((history, (words,)), nothing)

    start = ((model.start([0, 1]), (torch.zeros(2, 0, dtype=torch.int64),)), None)
    BeamSearch(4, 1, Scoring(NoPenalty()), Rules(LIMITS))(
        Stepper(step), start, Request(torch.tensor([3, 3]))
    )


@pytest.mark.parametrize("n_best", [1, 3])
def test_search_may_stop_at_the_first_finished_hypotheses(random_model, n_best):
    found, num_calls = {}, {}
    for stopping in ("exact", "first"):
        model = random_model(50, seed=2)
        model.table[:, EOS] += 2.0
        search = BeamSearch(5, n_best, Scoring(AveragePenalty()), Rules(LIMITS), stopping=stopping)
        found[stopping] = [model.translate(search, [n], [12])[0] for n in range(10)]
        num_calls[stopping] = model.num_calls
    assert num_calls["first"] < num_calls["exact"]
    assert found["first"] != found["exact"]
    for first, exact in zip(found["first"], found["exact"], strict=True):
        assert len(first) == n_best
        assert first[-1].score <= exact[-1].score
        # What has ended last has ended in the step in which the n-th did.
        shorter = [item for item in first if len(item.tokens) < max(len(i.tokens) for i in first)]
        assert len(shorter) < n_best


def test_hypotheses_that_end_together_hold_a_place_each():
    """Words 4 and 5 end at once; that leaves one place of three, which 6 7 8 takes from 6 7."""
    table = torch.full((9, 9), -50.0)
    table[BOS, 4:7] = -1.0
    table[4:6, EOS] = -0.1
    table[6, 7] = -0.5
    table[7, 8], table[7, EOS] = -0.1, -0.5
    table[8, EOS] = -3.0
    model = Stepper(lambda tokens, state: (table[tokens], state))
    search = BeamSearch(3, 3, Scoring(NoPenalty()), Rules(LIMITS))
    (found,) = search(model, None, Request(torch.tensor([3])))
    assert [item.tokens for item in found] == [(4,), (5,), (6, 7, 8)]
    assert [item.score for item in found] == pytest.approx([-1.1, -1.1, -4.6])


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

    with mock.patch.object(beam_search, "_FEW", few):
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


def test_impossible_hypotheses_rank_last():
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
