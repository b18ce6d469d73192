import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.core.batch import make_batch
from nmt.core.special_tokens import PAD
from nmt.nn.attention.alignments.alignment import SampledAlignment
from nmt.training.objective.attention_loss import CoverageLoss, GuidedAttention, Reinforce
from nmt.training.objective.loss_term import Outputs
from tests.training.conftest import tiny_model

REAL = torch.tensor([[True, True, False]])


def outputs(
    weights: Tensor,
    real: Tensor | None = None,
    gold: Tensor | None = None,
    sampled: SampledAlignment | None = None,
    rewards: Tensor | None = None,
) -> Outputs:
    """Return the outputs for a sentence; labels are padding where `real` is False."""
    _, num_words, num_sources = weights.shape
    batch = make_batch([[5] * (num_sources - 1)], [[6] * (num_words - 1)])
    labels = batch.labels if real is None else torch.where(real, batch.labels, PAD)
    target = torch.cat((batch.target[:, :1], labels), dim=1)
    batch = replace(batch, target=target, alignment=gold)
    decoded = replace(tiny_model().decode(batch), weights=weights, sampled=sampled)
    return Outputs(batch, decoded, torch.zeros(1, num_words) if rewards is None else rewards)


def loss(term: Any, *given: Any) -> float:
    value = term(outputs(*given))
    assert value is not None
    return float(value)


def reinforce(term: Reinforce, sampled: SampledAlignment, rewards: Tensor, real: Tensor) -> Tensor:
    value = term(outputs(torch.full((*real.shape, 2), 0.5), real, None, sampled, rewards))
    assert value is not None
    return value


def choice(log_probability: Tensor, is_sampled: bool = True) -> SampledAlignment:
    sampled = torch.full(log_probability.shape, is_sampled)
    return SampledAlignment(log_probability, torch.full_like(log_probability, 0.5), sampled)


def test_coverage_loss_by_hand() -> None:
    weights = torch.tensor([[[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]]])
    # Nothing is covered at first; then min(0.5, 0.75) + min(0.5, 0.25); the third is padding.
    assert loss(CoverageLoss(weight=1.0), weights, REAL) == pytest.approx(0.75)
    assert loss(CoverageLoss(weight=2.0), weights, REAL) == pytest.approx(1.5)


def test_guided_losses_by_hand() -> None:
    weights = torch.tensor([[[0.75, 0.25], [0.5, 0.5], [0.0, 1.0]]])
    gold = torch.tensor([[[1.0, 0.0], [0.0, 0.0], [0.5, 0.5]]])
    tiny = math.log(torch.finfo(torch.float32).tiny)
    for weight in (1.0, 3.0):
        expected = weight * (-math.log(0.75) - 0.5 * tiny)
        found = loss(GuidedAttention(weight=weight), weights, None, gold)
        assert found == pytest.approx(expected, rel=1e-6)
        # The second word has no links, so it adds nothing.
        expected = weight * 0.5 * (2 * 0.25**2 + 2 * 0.5**2)
        term = GuidedAttention(loss="squared_error", weight=weight)
        assert loss(term, weights, None, gold) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["cross_entropy", "squared_error"])
def test_guided_losses_are_minimal_if_weights_equal_links(name: Any) -> None:
    gold = torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]])
    torch.manual_seed(1)
    other = torch.softmax(torch.randn(1, 2, 3), -1)
    term = GuidedAttention(loss=name)
    assert loss(term, gold, None, gold) < loss(term, other, None, gold)


def test_reinforce_by_hand() -> None:
    log_probability = torch.tensor([[-1.0, -2.0, -3.0]], requires_grad=True)
    rewards = torch.tensor([[-1.0, -3.0, -9.0]])
    # The mean reward is -2, the standard deviation 1: advantages 1 and -1; padding counts nothing.
    term = Reinforce(weight=2.0, entropy=0.1)
    loss = reinforce(term, choice(log_probability), rewards, REAL)
    assert loss.item() == pytest.approx(2.0 * -(1 * -1.0 + -1 * -2.0) - 0.1 * 2 * 0.5)
    (gradient,) = torch.autograd.grad(loss, log_probability)
    assert gradient.tolist() == [[-2.0, 2.0, 0.0]], "good positions become likelier, bad ones less"


def test_reinforce_shares_in_the_rewards_to_come() -> None:
    returns = Reinforce(discount=0.5)._returns(torch.tensor([[1.0, 2.0, 4.0]]))
    assert returns.tolist() == [[3.0, 4.0, 4.0]]


def test_reinforce_ignores_expectations() -> None:
    given = choice(torch.zeros(1, 3), is_sampled=False)
    assert reinforce(Reinforce(entropy=0.0), given, torch.randn(1, 3), REAL).item() == 0.0


def test_attention_terms_add_nothing_without_links_or_sampled_positions() -> None:
    given = outputs(torch.full((1, 2, 3), 1 / 3))
    assert GuidedAttention()(given) is None
    assert Reinforce()(given) is None


def test_coverage_is_the_sum_over_all_words_before() -> None:
    weights = torch.tensor([[[0.5, 0.5], [1.0, 0.0], [0.5, 0.5]]])
    # Second word: min(1, 0.5). Third word: 1.5 and 0.5 are covered, so both halves count.
    assert loss(CoverageLoss(), weights) == pytest.approx(0.5 + 1.0)


def test_reinforce_compares_sampled_positions_with_each_other() -> None:
    """The second word was not sampled, so it changes neither the mean nor the deviation."""
    log_probability = torch.tensor([[-1.0, -2.0, -3.0]], requires_grad=True)
    sampled = SampledAlignment(
        log_probability, torch.full((1, 3), 0.5), torch.tensor([[True, False, True]])
    )
    rewards = torch.tensor([[-1.0, -50.0, -5.0]])
    loss = reinforce(Reinforce(entropy=0.1), sampled, rewards, torch.ones(1, 3).bool())
    # Mean -3, deviation 2: advantages 1 and -1. The entropy counts for all three words.
    assert loss.item() == pytest.approx(-(1 * -1.0 + -1 * -3.0) - 0.1 * 3 * 0.5)
    (gradient,) = torch.autograd.grad(loss, log_probability)
    assert gradient.tolist() == [[-1.0, 0.0, 1.0]]


def test_reinforce_learns_nothing_from_equal_rewards() -> None:
    given = choice(torch.tensor([[-1.0, -2.0, -3.0]]))
    assert reinforce(Reinforce(entropy=0.0), given, torch.full((1, 3), -2.0), REAL).item() == 0.0


def test_reinforce_takes_no_rewards_from_padding() -> None:
    given = choice(torch.tensor([[-1.0, -2.0, -3.0, -4.0]]))
    real = torch.tensor([[True, True, True, False]])
    losses = [
        reinforce(Reinforce(discount=0.5), given, torch.tensor([[-1.0, -3.0, -4.0, padding]]), real)
        for padding in (0.0, -100.0)
    ]
    assert losses[0] == losses[1]
