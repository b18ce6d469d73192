"""ONNX translations of PyTorch operators that ONNX lacks or that run slowly."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnxscript import opset20
from onnxscript.rewriter.pattern import RewriteRule, RewriteRuleSet

from nmt.nn.int8 import INT8_MAX, MIN_SCALE

# The domain of the operators that only ONNX Runtime has.
RUNTIME: Final = "com.microsoft"
op: Final[Any] = opset20  # Any, because its annotations only allow tensors
_FLOAT: Final = int(onnx.TensorProto.FLOAT)


def operators() -> dict[Any, Callable[..., Any]]:
    """Return the translation function of each operator."""
    return {
        torch.ops.nmt.int8_product.default: _int8_product,
        torch.ops.aten.matmul.default: _matmul,
        torch.ops.aten.lerp.Tensor: _lerp,
        torch.ops.aten.log_sigmoid.default: _log_sigmoid,
        torch.ops.aten.sym_stride.int: _stride,
    }


def merge_products(model: Any) -> None:
    """Fuse integer products, their conversion to float and their scales into one node.

    ONNX Runtime has a node for this, which the exporter does not use.

    Args:
        model: of `onnx_ir`; changed in place.
    """

    def product(pattern: Any, rows: Any, values: Any, middle: Any, scales: Any) -> Any:
        products = pattern.MatMulInteger(rows, values, middle)
        return pattern.Mul(pattern.Cast(products, to=_FLOAT), scales)

    def merged(node: Any, rows: Any, values: Any, middle: Any, scales: Any) -> Any:
        one = node.Constant(value_float=1.0)
        return node.MatMulIntegerToFloat(rows, values, one, scales, middle, _domain=RUNTIME)

    RewriteRuleSet([RewriteRule(product, merged)]).apply_to_model(model)


def _int8_product(rows: Any, values: Any, scales: Any) -> Any:
    """Translate `nmt.nn.int8.int8_product`."""
    last = op.Constant(value_ints=[-1])
    largest = op.ReduceMax(op.Abs(rows), last, keepdims=1)
    bounded = op.Max(largest, op.Constant(value_float=MIN_SCALE))
    row_scales = op.Div(bounded, op.Constant(value_float=float(INT8_MAX)))
    of_rows = op.Squeeze(row_scales, last)
    # Unsigned 1 to 255 in place of -127 to 127, because unsigned kernels are faster.
    middle = op.Constant(value=numpy_helper.from_array(np.array(128, np.uint8)))
    shifted = op.QuantizeLinear(rows, of_rows, op.Expand(middle, op.Shape(of_rows)), axis=0)
    products = op.MatMulInteger(shifted, op.Transpose(values, perm=[1, 0]), middle)
    # `merge_products` fuses the inner `Mul` and its inputs into one node.
    return op.Mul(op.Mul(op.Cast(products, to=_FLOAT), scales), row_scales)


def _matmul(left: Any, right: Any) -> Any:
    """Translate a vector as a column: ONNX Runtime takes ten times as long for a vector."""
    if right.shape is None or len(right.shape) > 1:
        return op.MatMul(left, right)
    last = op.Constant(value_ints=[-1])
    return op.Squeeze(op.MatMul(left, op.Unsqueeze(right, last)), last)


def _lerp(start: Any, end: Any, weight: Any) -> Any:
    """Translate to three nodes, not to the ten of the bitwise exact form."""
    return op.Add(start, op.Mul(weight, op.Sub(end, start)))


def _log_sigmoid(tensor: Any) -> Any:
    """Translate to a form that stays finite when the sigmoid underflows to 0."""
    return op.Neg(op.Softplus(op.Neg(tensor)))


def _stride(tensor: Any, dim: int) -> Any:
    """Compute a stride from the sizes, because loop inputs are contiguous."""
    # PyTorch counts a size of 0 as 1 here.
    sizes = op.Max(op.Shape(tensor, start=dim + 1), op.Constant(value_ints=[1]))
    return op.Squeeze(op.ReduceProd(sizes, op.Constant(value_ints=[0]), keepdims=0))
