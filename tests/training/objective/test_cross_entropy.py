"""The losses of logits and of chunks, against values by hand, torch's and each other."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nmt.core.special_tokens import PAD
from nmt.nn.layers import addmm
from nmt.training.objective.cross_entropy import (
    TokenLoss,
    chunked_cross_entropy,
    label_smoothed_cross_entropy,
)

MODULE = "nmt.training.objective.cross_entropy"


def test_by_hand() -> None:
    # Probabilities 1/2, 1/4, 1/8, 1/8 and the label with 1/4, of a smoothing of 0.2:
    # 0.8 * log 4 + 0.2 / 4 * (log 2 + log 4 + 2 log 8) = (1.6 + 0.05 * 9) log 2 = 2.05 log 2.
    logits = torch.tensor([[[0.5, 0.25, 0.125, 0.125]]]).log() + 7.0
    loss = label_smoothed_cross_entropy(logits, torch.tensor([[1]]), 0.2)
    assert loss.objective.item() == pytest.approx(2.05 * math.log(2), rel=1e-6)
    assert loss.negative_log_likelihood.item() == pytest.approx(2 * math.log(2), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_torch_in_value_and_gradient(smoothing: float) -> None:
    torch.manual_seed(1)
    labels = torch.randint(4, 11, (3, 5))
    labels[1, 3:] = PAD
    ours, theirs = (torch.randn(3, 5, 11) for _ in range(2))
    theirs.copy_(ours)
    ours.requires_grad_()
    theirs.requires_grad_()
    loss = label_smoothed_cross_entropy(ours, labels, smoothing)
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


def test_the_gradient_by_finite_differences() -> None:
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


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five rows at a time, and two of them in float32: neither divides the fifteen evenly."""
    monkeypatch.setattr(f"{MODULE}._CHUNK", 4 * 66)
    monkeypatch.setattr(f"{MODULE}._BLOCK", 22)


def make(kind: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Vectors, weight and bias with 11 words, and labels of which two are PAD."""
    torch.manual_seed(1)
    vectors, weight, bias = torch.randn(3, 5, 7), torch.randn(11, 7), torch.randn(11)
    labels = torch.randint(4, 11, (3, 5))
    labels[1, 3:] = PAD
    given = (vectors.to(kind), weight, bias)
    for tensor in given:
        tensor.requires_grad_()
    return (*given, labels)


def plain(
    vectors: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float
) -> TokenLoss:
    kind = vectors.dtype
    logits = functional.linear(vectors, weight.to(kind), bias.to(kind))
    return label_smoothed_cross_entropy(logits, labels, smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_value_and_gradient_are_those_of_the_plain_loss(smoothing: float) -> None:
    *given, labels = make()
    ours, theirs = (loss(*given, labels, smoothing) for loss in (chunked_cross_entropy, plain))
    torch.testing.assert_close(vars(ours), vars(theirs))
    found, expected = (torch.autograd.grad(loss.objective / 7, given) for loss in (ours, theirs))
    torch.testing.assert_close(found, expected)
    assert not ours.negative_log_likelihood.requires_grad
    assert not ours.log_probabilities.requires_grad


def test_in_bfloat16_the_sums_are_float32_and_the_gradients_of_the_parameters() -> None:
    *given, labels = make(torch.bfloat16)
    ours, theirs = (loss(*given, labels, 0.1) for loss in (chunked_cross_entropy, plain))
    assert ours.objective.dtype == ours.log_probabilities.dtype == torch.float32
    torch.testing.assert_close(ours.objective, theirs.objective, rtol=1e-4, atol=0.0)
    found, expected = (torch.autograd.grad(loss.objective, given) for loss in (ours, theirs))
    assert [gradient.dtype for gradient in found] == [torch.bfloat16, torch.float32, torch.float32]
    torch.testing.assert_close(found, expected, rtol=0.03, atol=0.03)


def test_under_autocast_the_parameters_are_as_precise_as_the_vectors() -> None:
    *given, labels = make(torch.bfloat16)
    expected = chunked_cross_entropy(*given, labels, 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = chunked_cross_entropy(*given, labels, 0.1)
    torch.testing.assert_close(vars(found), vars(expected), rtol=0.0, atol=0.0)


def test_a_word_that_is_all_but_certain_has_a_finite_loss() -> None:
    vectors = torch.tensor([[[1.0]], [[1.0]]])
    weight, bias = torch.tensor([[0.0]] * 4 + [[200.0], [0.0]]), torch.zeros(6)
    loss = chunked_cross_entropy(vectors, weight, bias, torch.tensor([[4], [5]]))
    assert loss.log_probabilities.flatten().tolist() == [0.0, -200.0]


def test_only_a_chunk_of_logits_is_computed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    original = addmm

    def watched(*given: Tensor) -> Tensor:
        nonlocal largest
        product = original(*given)
        largest = max(largest, product.numel())
        return product

    monkeypatch.setattr(f"{MODULE}.addmm", watched)
    *given, labels = make()
    chunked_cross_entropy(*given, labels).objective.backward()  # type: ignore[no-untyped-call]
    assert largest == 66


def test_a_second_backward_is_refused_rather_than_wrong() -> None:
    *given, labels = make()
    loss = chunked_cross_entropy(*given, labels).objective
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # type: ignore[no-untyped-call]
