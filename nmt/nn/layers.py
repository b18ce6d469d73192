"""Layers and matrix products that the parts of a model share, and how parameters start.

In float32 torch multiplies on a CPU by MKL, which keeps its kernels for AVX-512 to the processors
of one maker. oneDNN, by which torch multiplies bfloat16, has them for all, and is twice as fast on
the others. Torch takes it for a linear layer only where a compiler asks for it, as is done here.
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
_MANY_ROWS: Final = 256  # from which on adding a bias takes longer than what calls oneDNN


class Dropout(nn.Module):
    """Zeroes numbers at random and scales up the rest, only in training (Srivastava 2014).

    On a CPU torch draws one random number for each element, which costs as much as a matrix
    product does. Here one draw of 64 bits serves four elements, so the probability is rounded to
    a multiple of 1/65536.
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
        """Return a mask as in `forward`, to be used several times; None: nothing is zeroed.

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
    """Looks words up, with dropout on the numbers and on whole words.

    Args:
        vocabulary_size: V.
        size: E.
        dropout: chance that one number of a vector is zeroed.
        word_dropout: chance that a whole vector is zeroed, so that the model learns not to lean on
            any one word (Sennrich 2016, WMT). The others are not scaled up: a word is there or not.
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
        # Of length about 1, so that a tied output projection starts with logits near 0.
        nn.init.normal_(self.table.weight, std=size**-0.5)
        with torch.no_grad():
            self.table.weight[PAD].zero_()

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T E"]:
        """Return the vectors of the words; that of PAD starts at zero, and its readers mask it."""
        vectors: Tensor = self.table(tokens)
        if self.training and self.word_dropout > 0.0:
            kept = torch.rand(tokens.shape, device=tokens.device) >= self.word_dropout
            vectors = vectors * kept.unsqueeze(-1)
        return self.dropout(vectors)


class Linear(nn.Linear):
    """A linear layer that starts as `initialize_linear` has it."""

    __call__: Callable[..., Tensor]  # torch's returns Any

    def reset_parameters(self) -> None:
        """Draw the first weights, after those of torch, so that a seed gives what it always did."""
        super().reset_parameters()
        initialize_linear(self)


def initialize_linear(linear: nn.Linear) -> nn.Linear:
    """Draw Glorot-uniform weights, which keep the variance (Glorot & Bengio 2010, eq. 16)."""
    nn.init.xavier_uniform_(linear.weight)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
    return linear


def initialize_input_gates(weight: Tensor, num_gates: int) -> None:
    """Draw Glorot-uniform weights of an input, for each gate by itself.

    Drawn together, the gates would count as one layer that is `num_gates` times as wide, and each
    of them would start too small.
    """
    for gate in weight.chunk(num_gates):
        nn.init.xavier_uniform_(gate)


def initialize_hidden_gates(weight: Tensor, num_gates: int) -> None:
    """Draw orthogonal weights of the hidden state, for each gate by itself.

    An orthogonal recurrent matrix neither shrinks nor blows up what passes through it many times
    (Saxe 2014). Drawn together, the joint matrix would be orthogonal and no gate's own would.
    """
    for gate in weight.chunk(num_gates):
        nn.init.orthogonal_(gate)


class WithoutNormal(TorchFunctionMode):
    """A context without `normal_`, whose version for the device "meta" takes seconds to import."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, unless it is that one."""
        kwargs = kwargs or {}
        return kwargs["tensor"] if func is nn.init.normal_ else func(*args, **kwargs)


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
