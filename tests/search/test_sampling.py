"""Sampling: what is drawn is as probable as it should be, and hangs on nothing else."""

from typing import Any

import pytest
import torch

from nmt.core.special_tokens import EOS
from nmt.search.length_penalty import NoPenalty
from nmt.search.request import Request
from nmt.search.rules import LengthLimits, Rules
from nmt.search.sampling import SamplingSearch, _mix, _uniform
from nmt.search.search import Scoring, Stepper

LIMITS = LengthLimits(max_length=8, max_length_ratio=None)
LIKELY = torch.tensor([0.0, 0.0, 0.0, 0.1, 0.2, 0.4, 0.05, 0.25])


def make(n_best: int = 1, **options: Any) -> SamplingSearch:
    return SamplingSearch(5, n_best, Scoring(NoPenalty()), Rules(LIMITS), **options)


def first_tokens(likely: torch.Tensor = LIKELY, **options: Any) -> torch.Tensor:
    """How often each token is drawn first by 20,000 sentences, under a known distribution."""
    rules = Rules(LengthLimits(max_length=1, max_length_ratio=None))
    search = SamplingSearch(5, 1, Scoring(NoPenalty()), rules, **options)
    model = Stepper(lambda tokens, state: (likely.log().repeat(len(tokens), 1), state))
    count = 20_000
    request = Request(torch.ones(count, dtype=torch.int64), keys=torch.arange(count))
    found = search(model, None, request)
    first = [best.tokens[0] if best.tokens else EOS for (best,) in found]
    return torch.bincount(torch.tensor(first), minlength=len(likely)) / count


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, LIKELY.tolist()),
        ({"top_k": 2}, [0, 0, 0, 0, 0, 0.4 / 0.65, 0, 0.25 / 0.65]),
        ({"top_p": 0.6}, [0, 0, 0, 0, 0, 0.4 / 0.65, 0, 0.25 / 0.65]),
        ({"top_p": 0.7}, [0, 0, 0, 0, 0.2 / 0.85, 0.4 / 0.85, 0, 0.25 / 0.85]),
        ({"epsilon": 0.15}, [0, 0, 0, 0, 0.2 / 0.85, 0.4 / 0.85, 0, 0.25 / 0.85]),
        ({"epsilon": 0.07}, [0, 0, 0, 0.1 / 0.95, 0.2 / 0.95, 0.4 / 0.95, 0, 0.25 / 0.95]),
        ({"epsilon": 1e-320}, LIKELY.tolist()),
        ({"epsilon": 0.9}, [0, 0, 0, 0, 0, 1, 0, 0]),
        ({"top_k": 1}, [0, 0, 0, 0, 0, 1, 0, 0]),
        ({"temperature": 1e-40}, [0, 0, 0, 0, 0, 1, 0, 0]),
        ({"temperature": 0.5}, (LIKELY**2 / (LIKELY**2).sum()).tolist()),
    ],
    ids=str,
)
def test_tokens_come_as_often_as_they_should(options: dict[str, Any], expected: list[float]):
    assert first_tokens(**options).tolist() == pytest.approx(expected, abs=0.012)


def test_a_nucleus_may_be_wide():
    likely = 1 / torch.arange(10.0, 1010.0).double()
    likely[:3] = 0.0  # PAD, UNK and BOS are never drawn
    likely /= likely.sum()
    inside = likely.cumsum(0) - likely < 0.9
    assert inside.sum() > 600
    often = first_tokens(likely, top_p=0.9)
    assert often[~inside].sum() == 0
    expected = torch.where(inside, likely, 0.0) / likely[inside].sum()
    assert (often - expected).abs().max() < 0.006


def test_ties_do_not_exceed_top_k():
    often = first_tokens(torch.tensor([0.0] * 3 + [0.002] * 500), top_k=100)
    assert (often > 0).sum() == 100


def test_ties_do_not_depend_on_other_sentences():
    narrow, wide = torch.full((1000,), 1e-6), torch.full((1000,), 0.001)
    narrow[10:1000:25] = 0.025
    likely = torch.stack([narrow] * 300 + [wide])
    model = Stepper(lambda tokens, state: (state.log(), state))
    rules = Rules(LengthLimits(max_length=1, max_length_ratio=None))
    search = SamplingSearch(5, 1, Scoring(NoPenalty()), rules, top_p=0.7)

    def drawn(count: int) -> list[tuple[int, ...]]:
        keys = torch.arange(count)
        found = search(model, likely[:count], Request(torch.ones_like(keys), keys=keys))
        return [best.tokens for (best,) in found]

    assert drawn(300) == drawn(301)[:300]


def test_samples_depend_on_the_seed(random_model):
    model = random_model(50, seed=1)
    asked = {"keys": torch.arange(6)}

    def drawn(seed: int) -> list[tuple[int, ...]]:
        found = model.translate(make(seed=seed), list(range(6)), [5] * 6, **asked)
        return [best.tokens for (best,) in found]

    assert drawn(1) == drawn(1)
    assert all(one != two for one, two in zip(drawn(1), drawn(2), strict=True))


def test_samples_of_a_sentence_depend_only_on_its_key(random_model):
    model = random_model(50, seed=2)
    search, keys = make(n_best=3), torch.tensor([7, -(2**63), 7, 2**63 - 1])
    together = model.translate(search, [3, 4, 3, 5], [5] * 4, keys=keys)
    assert together[0] == together[2]
    for place, sentence in enumerate([3, 4, 3, 5]):
        (alone,) = model.translate(search, [sentence], [5], keys=keys[place : place + 1])
        assert alone == together[place]


def test_samples_are_independent_and_ordered(random_model):
    model = random_model(50, seed=3)
    (found,) = model.translate(make(n_best=40), [1], [5], keys=torch.tensor([1]))
    assert len(found) == 40
    assert len({item.tokens for item in found}) > 30
    scores = [item.score for item in found]
    assert scores == sorted(scores, reverse=True)
    for hypothesis in found[::10]:
        total = model.log_probability(1, hypothesis.tokens)
        assert hypothesis.log_probability == pytest.approx(total, abs=1e-5)


def test_the_mixing_is_that_of_splitmix64():
    """The numbers that Vigna's `splitmix64.c` gives for the seed 1234567."""
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423 - 2**64,
        4593380528125082431,
        16408922859458223821 - 2**64,
    ]
    states = [1234567]
    for _ in expected[1:]:
        states.append((states[-1] + 0x9E3779B97F4A7C15) % 2**64)
    signed = [state - 2**64 if state >= 2**63 else state for state in states]
    assert _mix(torch.tensor(signed)).tolist() == expected


@pytest.mark.parametrize("varied", ["key", "seed", "copy", "step"])
def test_draws_are_even_and_independent_over_all_that_they_depend_on(varied):
    given = {name: [3] * 2000 for name in ("key", "seed", "copy", "step")}
    given[varied] = list(range(2000))
    draws = torch.cat(
        [
            _uniform(torch.tensor([key]), seed, torch.tensor([copy]), step)
            for key, seed, copy, step in zip(*given.values(), strict=True)
        ]
    )
    assert ((draws >= 0) & (draws < 1)).all()
    assert torch.histc(draws, 10, 0.0, 1.0).sub(200).abs().max() < 60
    assert abs(torch.corrcoef(torch.stack([draws[:-1], draws[1:]]))[0, 1].item()) < 0.08


def test_epsilon_and_nucleus_bounds_are_inclusive():
    likely = torch.tensor([[0.125, 0.5, 0.125, 0.25]])
    kept, tokens = make(epsilon=0.25)._truncate(likely)
    assert kept.tolist() == [[0.5, 0.25, 0.0, 0.0]] and tokens[0, :2].tolist() == [1, 3]
    assert make(top_p=0.5)._truncate(likely)[0].tolist() == [[0.5, 0.0, 0.0, 0.0]]
    assert make(top_p=0.75)._truncate(likely)[0].tolist() == [[0.5, 0.25, 0.0, 0.0]]
