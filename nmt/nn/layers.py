"""Shared layers, matrix products and parameter initialisation.

For float32 products on a CPU torch calls MKL, which uses its AVX-512 kernels on Intel processors
only. oneDNN, which torch calls for bfloat16, uses them on all processors, and is twice as fast on
the others. Torch only calls oneDNN for float32 in compiled code, so this module calls it directly.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nmt.core.special_tokens import PAD

# 16-bit numbers in one 64-bit draw.
_LANES = 4
_MANY_ROWS: Final = 256  # from here on, adding a bias takes longer than the call of oneDNN


class Dropout(nn.Module):
    """Dropout that draws its random numbers faster on a CPU (Srivastava 2014).

    On a CPU torch draws one random number for each element, which costs as much as a matrix
    product. Here one 64-bit draw serves four elements, so the probability is rounded to a multiple
    of 1/65536.
    """

    __call__: Callable[..., Tensor]  # torch's returns Any

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, inputs: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
        """Return the inputs with about `probability` of the numbers zeroed."""
        if not self.training or self.probability == 0.0:
            return inputs
        if inputs.device.type != "cpu":
            return nn.functional.dropout(inputs, self.probability)
        return inputs * self._mask(inputs)

    def mask(self, like: Float[Tensor, "*N"]) -> Float[Tensor, "*N"] | None:
        """Return a mask as in `forward`, for repeated use; None if nothing is zeroed.

        One mask for all steps of a sequence is variational dropout (Gal & Ghahramani 2016).
        """
        if not self.training or self.probability == 0.0:
            return None
        if like.device.type != "cpu":
            return nn.functional.dropout(torch.ones_like(like), self.probability)
        return self._mask(like)

    def _mask(self, like: Tensor) -> Tensor:
        zeroed = min(round(self.probability * 2**16), 2**16 - 1)
        kept = _draw(like.shape) >= zeroed - 2**15
        return kept.to(like.dtype) * (2**16 / (2**16 - zeroed))


def _draw(shape: torch.Size) -> Tensor:
    """Draw uniform int16 numbers."""
    count = shape.numel()
    words = torch.empty(-(-count // _LANES), dtype=torch.int64)
    # The least int64 as lower bound: the default draws from 63 bits, and every fourth lane would
    # never be negative.
    words.random_(torch.iinfo(torch.int64).min, None)
    return words.view(torch.int16)[:count].view(shape)


class WordEmbedding(nn.Module):
    """A word embedding, with dropout on single numbers and on whole words.

    Args:
        vocabulary_size: V.
        size: E.
        dropout: probability of zeroing a number of a vector.
        word_dropout: probability of zeroing a whole vector, so that the model does not rely on any
            single word (Sennrich 2016, WMT). The other vectors are not scaled up.
    """

    def __init__(
        self,
        vocabulary_size: int,
        size: int,
        *,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary_size, size, padding_idx=PAD)
        self.dropout = Dropout(dropout)
        self.word_dropout = word_dropout
        # Vectors of length about 1, so that a tied output projection starts with logits near 0.
        nn.init.normal_(self.table.weight, std=size**-0.5)
        with torch.no_grad():
            self.table.weight[PAD].zero_()

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T E"]:
        """Return the vectors of the words; callers mask the vector of PAD, which starts at zero."""
        vectors: Tensor = self.table(tokens)
        if self.training and self.word_dropout > 0.0:
            kept = torch.rand(tokens.shape, device=tokens.device) >= self.word_dropout
            vectors = vectors * kept.unsqueeze(-1)
        return self.dropout(vectors)


class Linear(nn.Linear):
    """A linear layer initialised by `initialize_linear`."""

    __call__: Callable[..., Tensor]  # torch's returns Any

    def reset_parameters(self) -> None:
        """Initialise after torch has, which keeps the random numbers of earlier versions."""
        super().reset_parameters()
        initialize_linear(self)


def initialize_linear(linear: nn.Linear) -> nn.Linear:
    """Draw Glorot-uniform weights, which keep the variance (Glorot & Bengio 2010, eq. 16)."""
    nn.init.xavier_uniform_(linear.weight)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
    return linear


def initialize_gates(weight: Tensor, num_gates: int, draw: Callable[[Tensor], Tensor]) -> None:
    """Draw the weights of each gate separately.

    Drawn together, Glorot-uniform weights would start too small, because the gates would count as
    one layer that is `num_gates` times as wide. Of orthogonal weights, the joint matrix would be
    orthogonal, but the matrices of the gates would not.

    Args:
        weight: weights of all gates, one gate after the other.
        num_gates: number of gates.
        draw: `xavier_uniform_` for inputs; `orthogonal_` for the hidden state, which keeps
            gradients from vanishing or exploding (Saxe 2014).
    """
    for gate in weight.chunk(num_gates):
        draw(gate)


class WithoutNormal(TorchFunctionMode):
    """A context that skips `normal_`, which takes seconds to import on the device "meta"."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, unless it is `normal_`."""
        kwargs = kwargs or {}
        return kwargs["tensor"] if func is nn.init.normal_ else func(*args, **kwargs)


def cast_for_autocast(tensor: Tensor) -> Tensor:
    """Return a float32 tensor in the dtype of autocast, if that is on; others unchanged.

    Autocast casts a tensor again for each product, and keeps each copy for the backward pass. So a
    tensor that every step multiplies is cast once.
    """
    kind = tensor.device.type
    if tensor.dtype != torch.float32 or not torch.is_autocast_enabled(kind):
        return tensor
    return tensor.to(torch.get_autocast_dtype(kind))


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
    """Return ``base + left @ right`` in a new tensor, without a gradient."""
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
    """Add ``left @ right`` to `total` in place."""
    if _is_for_onednn(left):
        total += matmul(left, right)
    else:
        total.addmm_(left, right)


def weight_gradient(
    gradients: Float[Tensor, "*R N"], inputs: Float[Tensor, "*R K"]
) -> Float[Tensor, "N K"]:
    """Return the gradient of W, given the gradients of the rows of ``inputs @ W.t()``."""
    gradients, inputs = gradients.flatten(0, -2), inputs.flatten(0, -2)
    if not _is_for_onednn(gradients):
        return gradients.t() @ inputs
    return _turned_gradient(gradients, inputs).t().contiguous()


class WeightGradient:
    """Accumulator of `weight_gradient` over batches of rows, in float32.

    Args:
        weight: W.
    """

    def __init__(self, weight: Float[Tensor, "N K"]) -> None:
        num_rows, num_columns = weight.shape
        self._is_turned = _is_for_onednn(weight)
        shape = (num_columns, num_rows) if self._is_turned else (num_rows, num_columns)
        self._total = torch.zeros(shape, device=weight.device)

    def add(self, gradients: Float[Tensor, "R N"], inputs: Float[Tensor, "R K"]) -> None:
        """Add a batch of rows."""
        if self._is_turned:
            self._total += _turned_gradient(gradients, inputs)
        else:
            self._total += gradients.t() @ inputs

    def total(self) -> Float[Tensor, "N K"]:
        """Return the gradient of all rows so far."""
        return self._total.t().contiguous() if self._is_turned else self._total


def rows_times(rows: Float[Tensor, "B S K"], vector: Float[Tensor, "B K"]) -> Float[Tensor, "B S"]:
    """Return the product of the rows and the vector of each batch entry.

    The vector is the left factor: MKL takes eight times as long with `rows` on the left.
    """
    return torch.bmm(vector.unsqueeze(1), rows.transpose(1, 2)).squeeze(1)


def _turned_gradient(gradients: Tensor, inputs: Tensor) -> Tensor:
    """Return the gradient as `[K N]`, faster because oneDNN copies the left factor, here narrow."""
    return matmul(inputs.t(), gradients)


def _is_for_onednn(tensor: Tensor) -> bool:
    """Return whether oneDNN is faster and torch would not choose it."""
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu" and _has_onednn()


def _is_long(tensor: Tensor) -> bool:
    """Return whether there are so many rows that torch would spend measurable time on a bias."""
    is_many = tensor.dtype == torch.bfloat16 and len(tensor) >= _MANY_ROWS
    return is_many and tensor.device.type == "cpu" and _has_onednn()


@cache
def _has_onednn() -> bool:
    has_library: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return has_library and torch.backends.cpu.get_cpu_capability() == "AVX512"
