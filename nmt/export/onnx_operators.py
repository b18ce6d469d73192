"""How operators of PyTorch are written that ONNX does not have, or has but slowly."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from nmt.nn.int8 import INT8_MAX, MIN_SCALE

RUNTIME: Final = "com.microsoft"
"""The domain of the operators that ONNX Runtime alone has."""
_FLOAT: Final = int(onnx.TensorProto.FLOAT)


def operators() -> dict[Any, Callable[..., Any]]:
    """Operator -> what writes it."""
    return {
        torch.ops.nmt.int8_product.default: _int8_product,
        torch.ops.aten.matmul.default: _matmul,
        torch.ops.aten.lerp.Tensor: _lerp,
        torch.ops.aten.log_sigmoid.default: _log_sigmoid,
        torch.ops.aten.sym_stride.int: _stride,
    }


def merge_products(graph: onnx.GraphProto) -> None:
    """Write products of whole numbers, their conversion and their scales as one node.

    ONNX Runtime has a node for it, of which the exporter knows nothing.
    """
    makers = {output: node for node in graph.node for output in node.output}
    uses = Counter(name for node in graph.node for name in node.input)
    gone = set()
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                merge_products(attribute.g)
        cast = makers.get(node.input[0]) if node.op_type == "Mul" else None
        product = makers.get(cast.input[0]) if cast is not None and cast.op_type == "Cast" else None
        if cast is None or product is None or product.op_type != "MatMulInteger":
            continue
        left, right, zero = product.input
        one, (output,) = f"{node.output[0]}_one", node.output
        inputs = [left, right, one, node.input[1], zero]
        assert uses[product.output[0]] == uses[cast.output[0]] == 1
        gone |= {*product.output, *cast.output}
        node.CopyFrom(
            helper.make_node(
                "MatMulIntegerToFloat", inputs, [output], name=node.name, domain=RUNTIME
            )
        )
        graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), one))
    kept = [node for node in graph.node if node.output[0] not in gone]
    del graph.node[:]
    graph.node.extend(kept)


def _operators() -> Any:
    """Those of ONNX; loaded when they are needed, as it takes a while."""
    from onnxscript import opset20

    return opset20


def _int8_product(rows: Any, values: Any, scales: Any) -> Any:
    """`nmt.nn.int8.int8_product`."""
    op = _operators()
    last = op.Constant(value_ints=[-1])
    largest = op.ReduceMax(op.Abs(rows), last, keepdims=1)
    bounded = op.Max(largest, op.Constant(value_float=MIN_SCALE))
    row_scales = op.Div(bounded, op.Constant(value_float=float(INT8_MAX)))
    of_rows = op.Squeeze(row_scales, last)
    # 1 to 255 in the place of -127 to 127, for which there are faster kernels.
    middle = op.Constant(value=numpy_helper.from_array(np.array(128, np.uint8)))
    shifted = op.QuantizeLinear(rows, of_rows, op.Expand(middle, op.Shape(of_rows)), axis=0)
    products = op.MatMulInteger(shifted, op.Transpose(values, perm=[1, 0]), middle)
    # The first product and what goes into it become one node (`merge_products`).
    return op.Mul(op.Mul(op.Cast(products, to=_FLOAT), scales), row_scales)


def _matmul(left: Any, right: Any) -> Any:
    """A matrix times a vector takes ONNX Runtime ten times as long as one of one column."""
    op = _operators()
    if right.shape is None or len(right.shape) > 1:
        return op.MatMul(left, right)
    last = op.Constant(value_ints=[-1])
    return op.Squeeze(op.MatMul(left, op.Unsqueeze(right, last)), last)


def _lerp(start: Any, end: Any, weight: Any) -> Any:
    """In three nodes, not in the ten that give the last bit of it."""
    op = _operators()
    return op.Add(start, op.Mul(weight, op.Sub(end, start)))


def _log_sigmoid(tensor: Any) -> Any:
    """Finite where the sigmoid is 0 to the last bit."""
    op = _operators()
    return op.Neg(op.Softplus(op.Neg(tensor)))


def _stride(tensor: Any, dim: int) -> Any:
    """How a loop may learn a size that it was not told; what goes into it has no gaps."""
    op = _operators()
    # (PyTorch counts a size of 0 as 1 here.)
    sizes = op.Max(op.Shape(tensor, start=dim + 1), op.Constant(value_ints=[1]))
    return op.Squeeze(op.ReduceProd(sizes, op.Constant(value_ints=[0]), keepdims=0))
