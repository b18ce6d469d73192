"""Products are what torch's own are, whichever library makes them."""

import pytest
import torch
from torch import Tensor

from nmt.nn.fused.matmul import (
    WeightGradient,
    addmm,
    addmm_,
    matmul,
    weight_gradient,
)

KINDS = [torch.float32, torch.float64, torch.bfloat16]
LAYOUTS = ["as it is", "transposed", "every other column"]


def laid_out(matrix: Tensor, layout: str) -> Tensor:
    """The same numbers, strided otherwise."""
    if layout == "transposed":
        return matrix.t().contiguous().t()
    if layout == "every other column":
        return matrix.repeat_interleave(2, dim=1)[:, ::2]
    return matrix


def whole(*shape: int, kind: torch.dtype) -> Tensor:
    """Whole numbers, whose products no order of adding changes."""
    return torch.randint(-3, 4, shape).to(kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left_layout", LAYOUTS)
@pytest.mark.parametrize("right_layout", LAYOUTS)
def test_matmul_and_addmm_equal_exact_products(
    kind: torch.dtype, left_layout: str, right_layout: str
) -> None:
    left = laid_out(whole(5, 7, kind=kind), left_layout)
    right = laid_out(whole(7, 6, kind=kind), right_layout)
    row, base = whole(6, kind=kind), laid_out(whole(5, 6, kind=kind), left_layout)
    kept = base.clone()
    exact = (left.double() @ right.double()).to(kind)
    torch.testing.assert_close(matmul(left, right), exact, rtol=0.0, atol=0.0)
    torch.testing.assert_close(addmm(row, left, right), exact + row, rtol=0.0, atol=0.0)
    torch.testing.assert_close(addmm(base, left, right), exact + base, rtol=0.0, atol=0.0)
    assert torch.equal(base, kept)
    addmm_(base, left, right)
    torch.testing.assert_close(base, exact + kept, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_a_weight_is_that_of_autograd(kind: torch.dtype) -> None:
    inputs, gradients = whole(3, 4, 9, kind=kind)[..., :7], whole(3, 4, 6, kind=kind)
    weight = torch.zeros(6, 7, dtype=kind, requires_grad=True)
    (expected,) = torch.autograd.grad(inputs @ weight.t(), weight, gradients)
    found = weight_gradient(gradients, inputs)
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.0)
    assert found.is_contiguous()


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_added_to_many_rows(kind: torch.dtype) -> None:
    left, right, row = (whole(*shape, kind=kind) for shape in ((300, 7), (7, 6), (6,)))
    exact = left.double() @ right.double() + row.double()
    torch.testing.assert_close(addmm(row, left, right), exact.to(kind), rtol=0.0, atol=0.0)


def test_float32_is_not_rounded_to_less() -> None:
    torch.manual_seed(1)
    left, right = torch.randn(64, 300), torch.randn(300, 40)
    exact = left.double() @ right.double()
    torch.testing.assert_close(matmul(left, right).double(), exact, rtol=0.0, atol=1e-4)


def test_parts_of_a_gradient_in_bfloat16_are_added_up_in_float32() -> None:
    total = WeightGradient(torch.zeros(2, 3, dtype=torch.bfloat16))
    for _ in range(300):  # bfloat16 ends at 256, to which 1 can no longer be added
        total.add(torch.ones(1, 2).bfloat16(), torch.ones(1, 3).bfloat16())
    assert total.total().tolist() == [[300.0] * 3] * 2
