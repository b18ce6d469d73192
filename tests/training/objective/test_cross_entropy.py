import math

import pytest
import torch
from torch.nn import functional

from nmt.core.special_tokens import PAD
from nmt.training.objective.cross_entropy import label_smoothed_cross_entropy


def test_by_hand() -> None:
    # Probabilities 1/2, 1/4, 1/8, 1/8 and the label with 1/4, of a smoothing of 0.2:
    # 0.8 * log 4 + 0.2 / 4 * (log 2 + log 4 + 2 log 8) = (1.6 + 0.05 * 9) log 2 = 2.05 log 2.
    logits = torch.tensor([[[0.5, 0.25, 0.125, 0.125]]]).log() + 7.0
    loss = label_smoothed_cross_entropy(logits, torch.tensor([[1]]), 0.2)
    assert loss.objective.item() == pytest.approx(2.05 * math.log(2), rel=1e-6)
    assert loss.negative_log_likelihood.item() == pytest.approx(2 * math.log(2), rel=1e-6)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_torch_in_value_and_gradient(smoothing: float, fused: bool) -> None:
    torch.manual_seed(1)
    labels = torch.randint(4, 11, (3, 5))
    labels[1, 3:] = PAD
    ours, theirs = (torch.randn(3, 5, 11) for _ in range(2))
    theirs.copy_(ours)
    ours.requires_grad_()
    theirs.requires_grad_()
    loss = label_smoothed_cross_entropy(ours, labels, smoothing, fused=fused)
    reference = functional.cross_entropy(
        theirs.flatten(0, 1),
        labels.flatten(),
        ignore_index=PAD,
        reduction="sum",
        label_smoothing=smoothing,
    )
    torch.testing.assert_close(loss.objective, reference)
    (loss.objective / 7).backward()
    (reference / 7).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    assert not loss.negative_log_likelihood.requires_grad


def test_the_fused_gradient_is_that_of_the_loss() -> None:
    torch.manual_seed(1)
    logits = torch.randn(2, 2, 5, requires_grad=True)
    labels = torch.tensor([[4, 2], [3, PAD]])
    loss = label_smoothed_cross_entropy(logits, labels, 0.3)
    (gradient,) = torch.autograd.grad(loss.objective, logits)
    step = 1e-2
    for index in [(0, 0, 4), (0, 1, 3), (1, 0, 0), (1, 1, 2)]:
        moved = torch.zeros_like(logits)
        moved[index] = step
        with torch.no_grad():
            up, down = (
                label_smoothed_cross_entropy(logits + sign * moved, labels, 0.3).objective
                for sign in (1, -1)
            )
        slope = ((up - down) / (2 * step)).item()
        assert gradient[index].item() == pytest.approx(slope, abs=1e-3)


def test_a_padded_label_counts_nothing() -> None:
    logits = torch.randn(1, 3, 6, requires_grad=True)
    labels = torch.tensor([[4, 5, PAD]])
    whole = label_smoothed_cross_entropy(logits, labels, 0.1)
    short = label_smoothed_cross_entropy(logits[:, :2], labels[:, :2], 0.1)
    torch.testing.assert_close(whole.objective, short.objective)
    whole.objective.backward()
    assert logits.grad is not None
    assert torch.all(logits.grad[0, 2] == 0.0)


def test_bfloat16_logits_are_summed_in_float32() -> None:
    logits = torch.randn(2, 3, 8).bfloat16()
    labels = torch.randint(4, 8, (2, 3))
    low = label_smoothed_cross_entropy(logits, labels, 0.1)
    high = label_smoothed_cross_entropy(logits.float(), labels, 0.1)
    assert low.objective.dtype == torch.float32
    torch.testing.assert_close(low.objective, high.objective)


def test_a_gradient_of_the_gradient_is_refused_rather_than_wrong() -> None:
    logits = torch.randn(1, 2, 5, requires_grad=True)
    loss = label_smoothed_cross_entropy(logits, torch.tensor([[4, 3]])).objective
    weight = torch.ones((), requires_grad=True)
    (gradient,) = torch.autograd.grad(weight * loss, logits, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_a_second_backward_is_refused_rather_than_wrong() -> None:
    logits = torch.randn(1, 2, 5, requires_grad=True)
    loss = label_smoothed_cross_entropy(logits, torch.tensor([[4, 3]])).objective
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
