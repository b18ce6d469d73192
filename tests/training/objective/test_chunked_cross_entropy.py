"""The loss that never has all logits is the loss that has them."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nmt.core.special_tokens import PAD
from nmt.nn.fused.matmul import addmm
from nmt.training.objective.chunked_cross_entropy import chunked_cross_entropy
from nmt.training.objective.cross_entropy import TokenLoss, label_smoothed_cross_entropy

MODULE = "nmt.training.objective.chunked_cross_entropy"


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
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
    return label_smoothed_cross_entropy(logits, labels, smoothing, fused=False)


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


def test_no_more_than_a_chunk_of_logits_is_ever_made(monkeypatch: pytest.MonkeyPatch) -> None:
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
