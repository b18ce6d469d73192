"""8-bit weights for faster translation on a CPU (dynamic quantisation)."""

from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nmt.nn.fused.fast_path import FastPath

INT8_MAX: Final = 127
MIN_SCALE: Final = 1e-12  # avoids a division by zero for a row of zeros
_RUN_ONCE: Final = frozenset({"key_projection", "value_projection"})  # once per source sentence
_SMALLEST_WEIGHT: Final = 64 * 64  # smaller matrices are not worth quantising


class Int8Weight(nn.Module):
    """A weight matrix ``W`` in int8, with one scale for each row (symmetric, per channel).

    Inputs are quantised at run time, each row by its own largest absolute value. So a result does
    not depend on the rest of the batch. ``y = (x / s_x) W_8 * s_x * s_W + b``, where the integer
    products and sums are exact.

    Args:
        values: int8 between -127 and 127; K must be at least 2, because torch 2.13 multiplies
            int8 matrices wrongly for K = 1.
        scales: the float value of 1 in each row.
    """

    values: Tensor
    scales: Tensor

    def __init__(self, values: Int[Tensor, "N K"], scales: Float[Tensor, " N"]) -> None:
        super().__init__()
        assert values.shape[1] > 1
        self.register_buffer("values", values)
        self.register_buffer("scales", scales)

    @classmethod
    def of(cls, weight: Float[Tensor, "N K"]) -> "Int8Weight":
        """Quantise a matrix."""
        scales = _scales(weight.detach())
        return cls((weight.detach() / scales).round_().to(torch.int8), scales.squeeze(1))

    def multiply(
        self, inputs: Float[Tensor, "*R K"], bias: Float[Tensor, " N"] | None
    ) -> Float[Tensor, "*R N"]:
        """Return ``W x + b`` for each row."""
        rows = inputs.reshape(-1, inputs.shape[-1])
        if torch.compiler.is_exporting():
            outputs: Tensor = int8_product(rows, self.values, self.scales)
            outputs = outputs if bias is None else outputs + bias
        else:
            outputs = _multiply(rows, self.values, self.scales, bias)
        return outputs.view(*inputs.shape[:-1], self.scales.shape[0])


class Int8Linear(nn.Module):
    """A linear layer with an `Int8Weight`.

    Args:
        weight: W.
        bias: b, in float32, or None.
    """

    def __init__(self, weight: Int8Weight, bias: Float[Tensor, " N"] | None) -> None:
        super().__init__()
        self.weight = weight
        self.bias = nn.Buffer(bias) if bias is not None else None

    @classmethod
    def of(cls, layer: nn.Linear) -> "Int8Linear":
        """Quantise a layer."""
        bias = layer.bias
        return cls(Int8Weight.of(layer.weight), None if bias is None else bias.detach())

    def restrict(self, rows: Int[Tensor, " U"]) -> Callable[[Tensor], Tensor]:
        """Return a layer that computes these output rows only, in this order."""
        weight = Int8Weight(self.weight.values[rows], self.weight.scales[rows])
        return partial(weight.multiply, bias=None if self.bias is None else self.bias[rows])

    def forward(self, inputs: Float[Tensor, "*R K"]) -> Float[Tensor, "*R N"]:
        """Return ``W x + b``."""
        return self.weight.multiply(inputs, self.bias)


def _multiply(
    rows: Float[Tensor, "R K"],
    values: Int[Tensor, "N K"],
    scales: Float[Tensor, " N"],
    bias: Float[Tensor, " N"] | None,
) -> Float[Tensor, "R N"]:
    row_scales = _scales(rows)
    products = torch._int_mm((rows / row_scales).round_().to(torch.int8), values.t())
    outputs = products.float().mul_(row_scales)
    return outputs.mul_(scales) if bias is None else torch.addcmul(bias, outputs, scales)


@torch.library.custom_op("nmt::int8_product", mutates_args=())
def int8_product(rows: Tensor, values: Tensor, scales: Tensor) -> Tensor:
    """Return ``W x`` for rows `[R K]`, values `[N K]` and scales `[N]`.

    It is a custom operator, so that it becomes one node of an exported graph.
    `nmt.export.onnx_operators` translates that node to ONNX.
    """
    return _multiply(rows, values, scales, None)


@int8_product.register_fake
def _shape(rows: Tensor, values: Tensor, scales: Tensor) -> Tensor:
    return rows.new_empty(rows.shape[0], scales.shape[0])


def quantize(module: nn.Module) -> None:
    """Replace the weights of the layers and cells in a module by 8-bit weights, permanently.

    The module can no longer be trained or saved. Small layers, the layers that prepare the source
    memory, and embeddings are not quantised.
    """
    for part in list(module.modules()):
        weights = dict(part.named_parameters(recurse=False))
        for name in weights.keys() & {"weight_input", "weight_hidden"}:  # of a `Cell`
            if _is_worth_it(weights[name]):
                delattr(part, name)
                setattr(part, name, Int8Weight.of(weights[name]))
        for name, child in list(part.named_children()):
            if name in _RUN_ONCE:
                continue
            if isinstance(child, nn.Linear) and _is_worth_it(child.weight):
                setattr(part, name, Int8Linear.of(child))
        if isinstance(part, FastPath):
            part.drop_fast_path("8-bit weights")  # the fast path reads float32 weights


def _is_worth_it(weight: Tensor) -> bool:
    return weight.numel() >= _SMALLEST_WEIGHT and min(weight.shape) > 1  # not a vector


def _scales(rows: Float[Tensor, "R K"]) -> Float[Tensor, "R 1"]:
    """Return the float value of 1 in each row."""
    return rows.abs().amax(dim=1, keepdim=True).clamp_(min=MIN_SCALE).div_(INT8_MAX)
