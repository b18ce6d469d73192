"""The matrix products of the fused nodes, each by the library that is faster at it.

In float32 torch multiplies on a CPU by MKL, which keeps its kernels for AVX-512 to the processors
of one maker. oneDNN, by which torch multiplies bfloat16, has them for all, and is twice as fast on
the others. Torch takes it for a linear layer only where a compiler asks for it, as is done here.
"""

from functools import cache
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

_MANY_ROWS: Final = 256  # from which on adding a bias takes longer than what calls oneDNN


def matmul(left: Float[Tensor, "M K"], right: Float[Tensor, "K N"]) -> Float[Tensor, "M N"]:
    """Return ``left @ right``, without a gradient."""
    if not _is_for_onednn(left):
        return left @ right
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right.t(), None, "none", [], "")
    return product


def addmm(
    base: Float[Tensor, "M N"] | Float[Tensor, " N"],
    left: Float[Tensor, "M K"],
    right: Float[Tensor, "K N"],
) -> Float[Tensor, "M N"]:
    """Return ``base + left @ right``, a new tensor without a gradient."""
    total: Tensor
    if base.ndim == 1 and (_is_for_onednn(left) or _is_long(left)):
        total = torch.ops.mkldnn._linear_pointwise(left, right.t(), base, "none", [], "")
    elif not _is_for_onednn(left):
        total = torch.addmm(base, left, right)
    else:
        total = torch.ops.mkldnn._linear_pointwise.binary(left, base, right.t(), None, "add")
    return total


def addmm_(
    total: Float[Tensor, "M N"], left: Float[Tensor, "M K"], right: Float[Tensor, "K N"]
) -> None:
    """Add ``left @ right`` to `total`, in its place."""
    if _is_for_onednn(left):
        total += matmul(left, right)
    else:
        total.addmm_(left, right)


def weight_gradient(
    gradients: Float[Tensor, "*R N"], inputs: Float[Tensor, "*R K"]
) -> Float[Tensor, "N K"]:
    """Return the gradient of W, where the rows of ``inputs @ W.t()`` have these gradients."""
    gradients, inputs = gradients.flatten(0, -2), inputs.flatten(0, -2)
    if not _is_for_onednn(gradients):
        return gradients.t() @ inputs
    return _turned_gradient(gradients, inputs).t().contiguous()


class WeightGradient:
    """`weight_gradient` of rows that come in parts, added up in float32.

    Args:
        weight: W.
    """

    def __init__(self, weight: Float[Tensor, "N K"]) -> None:
        num_rows, num_columns = weight.shape
        self._is_turned = _is_for_onednn(weight)
        shape = (num_columns, num_rows) if self._is_turned else (num_rows, num_columns)
        self._total = torch.zeros(shape, device=weight.device)

    def add(self, gradients: Float[Tensor, "R N"], inputs: Float[Tensor, "R K"]) -> None:
        """Add some more rows."""
        if self._is_turned:
            self._total += _turned_gradient(gradients, inputs)
        else:
            self._total += gradients.t() @ inputs

    def total(self) -> Float[Tensor, "N K"]:
        """Return the gradient of all rows so far."""
        return self._total.t().contiguous() if self._is_turned else self._total


def rows_times(rows: Float[Tensor, "B S K"], vector: Float[Tensor, "B K"]) -> Float[Tensor, "B S"]:
    """Return the products of rows with a vector for each batch entry.

    (MKL takes eight times as long for `rows` times a column.)
    """
    return torch.bmm(vector.unsqueeze(1), rows.transpose(1, 2)).squeeze(1)


def _turned_gradient(gradients: Tensor, inputs: Tensor) -> Tensor:
    """Return `[K N]`: oneDNN copies the left factor to its own layout, and this one is narrow."""
    return matmul(inputs.t(), gradients)


def _is_for_onednn(tensor: Tensor) -> bool:
    """Return whether oneDNN is faster, and torch would not choose it by itself."""
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu" and _has_onednn()


def _is_long(tensor: Tensor) -> bool:
    """Return whether torch would spend measurable time on writing a bias to so many rows."""
    is_many = tensor.dtype == torch.bfloat16 and len(tensor) >= _MANY_ROWS
    return is_many and tensor.device.type == "cpu" and _has_onednn()


@cache
def _has_onednn() -> bool:
    has_library: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return has_library and torch.backends.cpu.get_cpu_capability() == "AVX512"
