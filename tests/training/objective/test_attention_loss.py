import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nmt.core.batch import make_batch
from nmt.nn.attention.alignments.alignment import SampledAlignment
from nmt.training.objective.attention_loss import (
    AttentionLoss,
    Reinforce,
    coverage_loss,
    guided_cross_entropy,
    guided_squared_error,
)

REAL = torch.tensor([[True, True, False]])


def choice(log_probability: Tensor, is_sampled: bool = True) -> SampledAlignment:
    sampled = torch.full(log_probability.shape, is_sampled)
    return SampledAlignment(log_probability, torch.full_like(log_probability, 0.5), sampled)


def test_coverage_loss_by_hand() -> None:
    weights = torch.tensor([[[0.75, 0.25], [0.5, 0.5], [1.0, 0.0]]])
    # Nothing is covered at first; then min(0.5, 0.75) + min(0.5, 0.25); the third is padding.
    assert coverage_loss(weights, REAL).item() == pytest.approx(0.75)


def test_guided_losses_by_hand() -> None:
    weights = torch.tensor([[[0.75, 0.25], [0.5, 0.5], [0.0, 1.0]]])
    gold = torch.tensor([[[1.0, 0.0], [0.0, 0.0], [0.5, 0.5]]])
    tiny = math.log(torch.finfo(torch.float32).tiny)
    expected = -math.log(0.75) - 0.5 * tiny
    assert guided_cross_entropy(weights, gold).item() == pytest.approx(expected, rel=1e-6)
    # The second word has no links, and so no wish.
    expected = 0.5 * (2 * 0.25**2 + 2 * 0.5**2)
    assert guided_squared_error(weights, gold).item() == pytest.approx(expected)


def test_guided_losses_are_least_where_the_weights_are_the_links() -> None:
    gold = torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]])
    torch.manual_seed(1)
    other = torch.softmax(torch.randn(1, 2, 3), -1)
    for loss in (guided_cross_entropy, guided_squared_error):
        assert loss(gold, gold) < loss(other, gold)


def test_reinforce_by_hand() -> None:
    log_probability = torch.tensor([[-1.0, -2.0, -3.0]], requires_grad=True)
    rewards = torch.tensor([[-1.0, -3.0, -9.0]])
    # The mean reward is -2, the standard deviation 1: advantages 1 and -1; padding counts nothing.
    loss = Reinforce(weight=2.0, entropy=0.1)(choice(log_probability), rewards, REAL)
    assert loss.item() == pytest.approx(2.0 * -(1 * -1.0 + -1 * -2.0) - 0.1 * 2 * 0.5)
    (gradient,) = torch.autograd.grad(loss, log_probability)
    assert gradient.tolist() == [[-2.0, 2.0, 0.0]], "good positions become likelier, bad ones less"


def test_reinforce_shares_in_the_rewards_to_come() -> None:
    returns = Reinforce(discount=0.5)._returns(torch.tensor([[1.0, 2.0, 4.0]]))
    assert returns.tolist() == [[3.0, 4.0, 4.0]]


def test_reinforce_leaves_expectations_alone() -> None:
    log_probability = torch.zeros(1, 3)
    loss = Reinforce(entropy=0.0)(
        choice(log_probability, is_sampled=False), torch.randn(1, 3), REAL
    )
    assert loss.item() == 0.0


def test_no_term_without_a_weight_or_without_links() -> None:
    batch = make_batch([[5, 6]], [[7]])
    weights = torch.full((1, 2, 3), 1 / 3)
    assert AttentionLoss()(batch, weights) == []
    assert AttentionLoss(guided=1.0)(batch, weights) == [], "nothing is known to guide by"
    (loss,) = AttentionLoss(coverage=2.0)(batch, weights)
    torch.testing.assert_close(loss, 2 * coverage_loss(weights, batch.label_mask))


def test_coverage_is_the_sum_over_all_words_before() -> None:
    weights = torch.tensor([[[0.5, 0.5], [1.0, 0.0], [0.5, 0.5]]])
    # Second word: min(1, 0.5). Third word: 1.5 and 0.5 are covered, so both halves count.
    assert coverage_loss(weights, torch.ones(1, 3).bool()).item() == pytest.approx(0.5 + 1.0)


def test_reinforce_compares_sampled_positions_with_each_other() -> None:
    """The second word was not sampled, so it changes neither the mean nor the deviation."""
    log_probability = torch.tensor([[-1.0, -2.0, -3.0]], requires_grad=True)
    sampled = SampledAlignment(
        log_probability, torch.full((1, 3), 0.5), torch.tensor([[True, False, True]])
    )
    rewards = torch.tensor([[-1.0, -50.0, -5.0]])
    loss = Reinforce(entropy=0.1)(sampled, rewards, torch.ones(1, 3).bool())
    # Mean -3, deviation 2: advantages 1 and -1. The entropy counts for all three words.
    assert loss.item() == pytest.approx(-(1 * -1.0 + -1 * -3.0) - 0.1 * 3 * 0.5)
    (gradient,) = torch.autograd.grad(loss, log_probability)
    assert gradient.tolist() == [[-1.0, 0.0, 1.0]]


def test_reinforce_learns_nothing_from_equal_rewards() -> None:
    loss = Reinforce(entropy=0.0)(
        choice(torch.tensor([[-1.0, -2.0, -3.0]])), torch.full((1, 3), -2.0), REAL
    )
    assert loss.item() == 0.0


def test_reinforce_takes_no_rewards_from_padding() -> None:
    given = choice(torch.tensor([[-1.0, -2.0, -3.0, -4.0]]))
    real = torch.tensor([[True, True, True, False]])
    losses = [
        Reinforce(discount=0.5)(given, torch.tensor([[-1.0, -3.0, -4.0, padding]]), real)
        for padding in (0.0, -100.0)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("name", "loss"),
    [("cross_entropy", guided_cross_entropy), ("squared_error", guided_squared_error)],
)
def test_terms_are_weighted(name: str, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    gold = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]])
    batch = replace(make_batch([[5, 6]], [[7]]), alignment=gold)
    torch.manual_seed(1)
    weights = torch.softmax(torch.randn(1, 2, 3), -1)
    found = AttentionLoss(coverage=2.0, guided=3.0, guided_loss=name)(batch, weights)
    expected = [2.0 * coverage_loss(weights, batch.label_mask), 3.0 * loss(weights, gold)]
    torch.testing.assert_close(found, expected)
