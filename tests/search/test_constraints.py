"""Phrases that must appear: how far a hypothesis is, who keeps a place, and what is found."""

from collections.abc import Sequence
from math import inf

import pytest
import torch
from torch import Tensor

from nmt.core.special_tokens import BOS, EOS
from nmt.search.beam import BeamSearch
from nmt.search.constraints import ForbiddenPhrases, allocate, count_unmet, measure_progress
from nmt.search.length_penalty import AveragePenalty, NoPenalty
from nmt.search.rules import LengthLimits, Rules
from nmt.search.search import Candidates, Scoring
from nmt.search.table import LENGTH_PENALTIES

A, B, C = EOS + 1, EOS + 2, EOS + 3
LIMITS = LengthLimits(max_length=4, max_length_ratio=None)


def pad(*phrases: list[int]) -> torch.Tensor:
    return torch.tensor([[*phrase, *[0] * (3 - len(phrase))] for phrase in phrases])


@pytest.mark.parametrize(
    ("written", "is_met", "begun", "num_tokens"),
    [
        ([], [False, False], [0, 0], 0),
        ([A], [False, False], [1, 0], 1),
        ([A, B], [True, False], [0, 1], 3),
        ([A, B, C], [True, True], [0, 0], 4),  # "a b" and "b c" overlap
        ([A, A, B], [True, False], [0, 1], 3),
        ([B, A], [False, False], [1, 0], 1),
        ([B, C, A], [False, True], [1, 0], 3),
        ([A, C], [False, False], [0, 0], 0),
    ],
)
def test_progress_by_hand(written, is_met, begun, num_tokens):
    phrases = pad([A, B], [B, C]).unsqueeze(0)
    progress = measure_progress(torch.tensor([[BOS, *written]]), phrases)
    assert progress.is_met.tolist() == [is_met]
    assert progress.begun.tolist() == [begun]
    assert progress.num_tokens().tolist() == [num_tokens]


def edges_where(continues: int, begins_after: Sequence[int] = ()) -> Tensor:
    """Words begin with every token but one, and after some."""
    edges = torch.ones(2, C + 1, dtype=torch.bool)
    edges[0, continues] = False
    edges[1, EOS + 1 :] = False
    edges[1, list(begins_after)] = True
    return edges


def test_a_phrase_is_made_of_whole_words():
    phrases = pad([A, B]).unsqueeze(0)
    for written, continues, is_met in (
        ([A, B], C, True),  # as far as one can tell
        ([A, B, A], C, True),
        ([A, B, C], C, False),
        ([A, B, C, A, B], C, True),
        ([C, A, B], C, True),
        ([C, A, B], A, False),  # A goes on with the word before
        ([A, B], A, True),  # which is not there
    ):
        edges = edges_where(continues)
        progress = measure_progress(torch.tensor([[BOS, *written]]), phrases, edges)
        assert progress.is_met.tolist() == [[is_met]], written
        assert count_unmet(written, [[A, B]], edges) == (not is_met)
    for written, continues, begins_after in (
        ([C, A, B], A, C),  # as after a hyphen
        ([A, B, C], C, B),  # as before what follows a phrase that ends with one
    ):
        edges = edges_where(continues, begins_after=[begins_after])
        progress = measure_progress(torch.tensor([[BOS, *written]]), phrases, edges)
        assert progress.is_met.tolist() == [[True]]
        assert count_unmet(written, [[A, B]], edges) == 0


def test_phrase_may_overlap_itself():
    phrases = pad([A, A, B]).unsqueeze(0)
    progress = measure_progress(torch.tensor([[BOS, A, A, A]]), phrases)
    assert progress.begun.tolist() == [[2]]


def test_empty_constraints_are_always_met():
    progress = measure_progress(torch.tensor([[BOS]]), torch.zeros(1, 1, 3, dtype=torch.int64))
    assert progress.is_met.all()


def test_places_go_to_the_banks_in_turn():
    totals = torch.tensor([[-1.0, -2.0, -3.0, -4.0, -5.0, -inf]])
    candidates = Candidates(totals, torch.zeros(1, 6).long(), torch.zeros(1, 6).long())
    num_met = torch.tensor([[0, 0, 0, 2, 1, 2]])

    def kept(num_free: int) -> list[bool]:
        return allocate(candidates, num_met, torch.tensor([num_free]))[0].tolist()

    assert kept(1) == [False, False, False, True, False, False]
    assert kept(2) == [False, False, False, True, True, False]
    assert kept(3) == [True, False, False, True, True, False]
    assert kept(4) == [True, True, False, True, True, False]
    assert kept(9) == [True, True, True, True, True, False]


def test_unmet_phrases_are_counted():
    assert count_unmet((A, B, C), [[A, B], [B, C], [C], []]) == 0
    assert count_unmet((A, B, C), [[A, C], [C, A], [B]]) == 2
    assert count_unmet((), [[A]]) == 1


PHRASES = [pad([A]), pad([A, B], [B, C]), pad([C, C], [A]), pad([B, A, B]), pad([C], [C])]


@pytest.mark.parametrize("penalty", sorted(LENGTH_PENALTIES))
@pytest.mark.parametrize("phrases", PHRASES, ids=str)
@pytest.mark.parametrize("continues", [0, B])  # PAD: no token goes on with a word
def test_a_wide_beam_finds_the_best_that_has_the_phrases(random_model, penalty, phrases, continues):
    seed = continues
    model = random_model(C + 1, seed)
    scoring = Scoring(LENGTH_PENALTIES[penalty]())
    edges = edges_where(continues, begins_after=[A])
    search = BeamSearch(130, 10, scoring, Rules(LIMITS, word_edges=lambda: edges))
    wanted = [[token for token in phrase if token] for phrase in phrases.tolist()]
    ((*found,),) = model.translate(search, [seed], [3], phrases=phrases.unsqueeze(0))
    every = model.all_hypotheses(seed, scoring, LIMITS, 3)
    expected = [item for item in every if count_unmet(item.tokens, wanted, edges) == 0][:10]
    assert [item.tokens for item in found] == [item.tokens for item in expected]
    assert [item.score for item in found] == pytest.approx(
        [item.score for item in expected], abs=1e-5
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_narrow_beam_finds_improbable_phrases(random_model, seed):
    model = random_model(60, seed)
    model.table[:, 50:] -= 8.0  # what must appear is what the model would never say
    phrases = torch.tensor([[[50, 51, 0], [55, 0, 0]], [[52, 53, 54], [0, 0, 0]]])
    limits = LengthLimits(max_length=12, max_length_ratio=None)
    search = BeamSearch(4, 2, Scoring(AveragePenalty()), Rules(limits))
    found = model.translate(search, [0, 1], [5, 5], phrases=phrases)
    assert all(count_unmet(best.tokens, [[50, 51], [55]]) == 0 for best in found[0])
    assert all(count_unmet(best.tokens, [[52, 53, 54]]) == 0 for best in found[1])
    for sentence, hypotheses in enumerate(found):
        total = model.log_probability(sentence, hypotheses[0].tokens)
        assert hypotheses[0].log_probability == pytest.approx(total, abs=1e-4)


def test_unconstrained_sentence_equals_plain_search(random_model):
    model = random_model(60, seed=3)
    search = BeamSearch(4, 3, Scoring(AveragePenalty()), Rules(LIMITS))
    phrases = torch.tensor([[[50, 51, 0]], [[0, 0, 0]], [[9, 0, 0]]])
    together = model.translate(search, [0, 1, 2], [5] * 3, phrases=phrases)
    free = model.translate(search, [1], [5])
    assert together[1] == free[0]
    for sentence in range(3):
        one = phrases[sentence : sentence + 1]
        alone = model.translate(search, [sentence], [5], phrases=one)
        assert together[sentence] == alone[0]


def test_unsatisfiable_phrases_are_met_as_far_as_possible(random_model):
    model = random_model(60, seed=4)
    rules = Rules(LIMITS, [ForbiddenPhrases([[51]])])
    search = BeamSearch(4, 1, Scoring(NoPenalty()), rules)
    forbidden = torch.tensor([[[50, 51, 0], [55, 0, 0]]])
    ((best,),) = model.translate(search, [0], [5], phrases=forbidden)
    assert 55 in best.tokens and 51 not in best.tokens
    too_long = torch.tensor([[[50, 51, 52], [53, 54, 55], [56, 0, 0]]])  # of 4 tokens at most
    search = BeamSearch(4, 1, Scoring(NoPenalty()), Rules(LIMITS))
    ((best,),) = model.translate(search, [0], [5], phrases=too_long)
    assert 1 <= count_unmet(best.tokens, [[50, 51, 52], [53, 54, 55], [56]]) <= 2
