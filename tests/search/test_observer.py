"""An observer changes no result, and nothing is computed for one that is not there."""

from collections.abc import Callable
from typing import Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from nmt.core.special_tokens import EOS
from nmt.search.length_penalty import AveragePenalty
from nmt.search.observer import SearchStep
from nmt.search.rules import LengthLimits, NoRepeatedNgrams, Rules
from nmt.search.search import Scoring
from nmt.search.table import SEARCHES

RULES = Rules(LengthLimits(max_length=8, max_length_ratio=None), [NoRepeatedNgrams(2)])


class CountOperations(TorchDispatchMode):
    """Counts the operations that torch computes."""

    def __init__(self) -> None:
        super().__init__()
        self.clones = self.others = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        is_clone = func.name() == "aten::clone"
        self.clones += is_clone
        self.others += not is_clone
        return func(*args, **(kwargs or {}))


def count(translate: Callable[[], Any]) -> CountOperations:
    with CountOperations() as counted:
        translate()
    return counted


@pytest.mark.parametrize("name", SEARCHES)
def test_an_observer_changes_no_hypothesis(random_model, make_search, name):
    model, search = random_model(30, 1), make_search(name, Scoring(AveragePenalty()), RULES)
    seen: list[SearchStep] = []
    sentences, lengths = [0, 1, 2], [4, 4, 4]
    watched = model.translate(search, sentences, lengths, observer=seen.append)
    assert watched == model.translate(search, sentences, lengths)
    assert [step.partial.length for step in seen] == list(range(len(seen)))
    assert len(seen) > 2


@pytest.mark.parametrize("name", ["beam", "diverse_beam"])
def test_without_an_observer_a_beam_computes_one_clone_less_a_step(random_model, make_search, name):
    model, search = random_model(30, 1), make_search(name, Scoring(AveragePenalty()), RULES)
    steps: list[None] = []
    watched = count(
        lambda: model.translate(search, [0, 1], [4, 4], observer=lambda step: steps.append(None))
    )
    plain = count(lambda: model.translate(search, [0, 1], [4, 4]))
    assert plain.others == watched.others
    assert watched.clones - plain.clones == len(steps) > 2


@pytest.mark.parametrize("name", SEARCHES)
def test_the_scores_of_a_step_are_those_of_the_hypotheses(random_model, make_search, name):
    model, search = random_model(30, 2), make_search(name, Scoring(AveragePenalty()), RULES)
    scores: list[float] = []

    def look(step: SearchStep) -> None:
        ends = step.kept & (step.candidates.tokens == EOS)
        assert not (step.is_open & ~step.kept).any()
        if ends.any():
            assert step.scores is not None
            scores.extend(step.scores[ends].tolist())

    (found,) = model.translate(search, [3], [4], observer=look)
    assert found[0].score == max(scores)
