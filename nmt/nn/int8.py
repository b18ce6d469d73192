"""Weights of 8 bits, for translating on a CPU: products of whole numbers, which are faster."""

from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nmt.nn.fused.fast_path import FastPath

INT8_MAX: Final = 127
MIN_SCALE: Final = 1e-12  # of a scale, so that a row of zeros divides by something
_RUN_ONCE: Final = frozenset({"key_projection", "value_projection"})  # of a memory, when it is made
_SMALLEST_WEIGHT: Final = 64 * 64  # numbers; less is not worth it


class Int8Weight(nn.Module):
    """A weight matrix ``W``, each row in whole numbers between -127 and 127 times a scale.

    Inputs are quantised as they come, each row by its own largest number, so that what a sentence
    gets does not depend on what else is in the batch. ``y = (x / s_x) W_8 * s_x * s_W + b``: the
    products and their sums are exact (dynamic quantisation, symmetric, for each channel).

    Args:
        values: of int8; K is 2 or more (for 1, torch 2.13 multiplies whole numbers wrongly).
        scales: what 1 stands for in each row.
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
        """Return ``W x + b`` of rows."""
        rows = inputs.reshape(-1, inputs.shape[-1])
        if torch.compiler.is_exporting():
            outputs: Tensor = int8_product(rows, self.values, self.scales)
            outputs = outputs if bias is None else outputs + bias
        else:
            outputs = _multiply(rows, self.values, self.scales, bias)
        return outputs.view(*inputs.shape[:-1], self.scales.shape[0])


class Int8Linear(nn.Module):
    """A linear layer with such a weight.

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
        """Return a layer that gives these outputs only, in their order."""
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
    """Return ``W x`` of `[R K]`, values `[N K]` and scales `[N]`: one node of an exported graph.

    An operator with a name, as ONNX spells what is in it differently:
    `nmt.export.onnx_operators`.
    """
    return _multiply(rows, values, scales, None)


@int8_product.register_fake
def _shape(rows: Tensor, values: Tensor, scales: Tensor) -> Tensor:
    return rows.new_empty(rows.shape[0], scales.shape[0])


def quantize(module: nn.Module) -> None:
    """Put weights of 8 bits in the place of those of the layers and cells in a module, for good.

    It can no longer be trained, nor saved. Small layers stay as they are, and so do those that make
    a memory of the source, and embeddings, whose tables are not multiplied.
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
            part.drop_fast_path("weights of 8 bits")  # it reads float32


def _is_worth_it(weight: Tensor) -> bool:
    return weight.numel() >= _SMALLEST_WEIGHT and min(weight.shape) > 1  # a vector is none


def _scales(rows: Float[Tensor, "R K"]) -> Float[Tensor, "R 1"]:
    """Return what 1 stands for in each row."""
    return rows.abs().amax(dim=1, keepdim=True).clamp_(min=MIN_SCALE).div_(INT8_MAX)
