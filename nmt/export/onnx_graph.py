"""From modules to one ONNX graph: source tokens in, translations out."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from nmt.core.special_tokens import EOS
from nmt.core.tensor_tree import map_tensors, tensors_of
from nmt.export.beam_search import ExportableBeamSearch
from nmt.export.graphs import EncoderGraph, GraphInputs, SearchRoundGraph, ShortlistGraph
from nmt.export.onnx_file import INPUTS, OUTPUTS
from nmt.export.onnx_operators import RUNTIME, merge_products, operators
from nmt.nn.model import Model

OPSET: Final = 20
_LOGGERS: Final = ("torch.onnx", "torch.export", "torch._export", "onnxscript", "onnx_ir")
_TYPES: Final = {"int64": TensorProto.INT64, "float": TensorProto.FLOAT}


def make_graph(
    model: Model,
    search: ExportableBeamSearch,
    vocabulary_size: int,
    candidates: ShortlistGraph | None,
) -> onnx.ModelProto:
    """The graph of a model and its search, from `INPUTS` to `OUTPUTS`.

    What is read is one piece, and a round of the search another; a loop around the second, which
    may leave fewer sentences each time, joins them.

    Args:
        model: in evaluation mode, on the CPU.
        search: how it translates.
        vocabulary_size: of the source.
        candidates: of the shortlist; None: translations may be made of any token.
    """
    torch.compiler.reset()  # what it knows of models that were exported before makes sizes fixed
    example = _example(vocabulary_size)
    encoder = EncoderGraph(model, search, candidates)
    with torch.no_grad(), _quiet():
        begun = map_tensors(_contiguous, encoder.start(example))
        tensors = tensors_of(begun)
        carried = [f"carried_{number}" for number in range(len(tensors))]
        first = _export(encoder, example, [*GraphInputs._fields], carried)
        after = [f"next_{number}" for number in range(len(carried))]
        rounds = SearchRoundGraph(model, search, begun)
        body = _export(rounds, tensors, carried, ["continues", *after])
    places = {id(tensor): place for place, tensor in enumerate(tensors)}
    found = [places[id(tensor)] for tensor in tensors_of(begun[1].found)]
    return _join(first, body, carried, found, with_candidates=candidates is not None)


def _describe(name: str, kind: str, sizes: Sequence[str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _TYPES[kind], list(sizes))


def _example(vocabulary_size: int) -> GraphInputs:
    source = torch.full((3, 7), vocabulary_size - 1)
    source[:, -1] = EOS
    return GraphInputs(source, torch.full((3,), 7), torch.arange(5), torch.arange(2))


def _contiguous(tensor: Tensor) -> Tensor:
    """A copy whose strides follow from its shape, as the graph knows of no others."""
    return tensor.clone(memory_format=torch.contiguous_format)


def _export(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> onnx.ModelProto:
    """Export a module of tensors, any size of which may be another."""
    sizes = [dict.fromkeys(range(tensor.dim()), torch.export.Dim.AUTO) for tensor in example]
    program = torch.export.export(module, tuple(example), dynamic_shapes=(tuple(sizes),))
    exported = torch.onnx.export(
        program,
        (),
        dynamo=True,
        opset_version=OPSET,
        input_names=inputs,
        output_names=outputs,
        custom_translation_table=operators(),
        verbose=False,
    )
    assert exported is not None
    proto: onnx.ModelProto = exported.model_proto
    merge_products(proto.graph)
    return proto


def _join(
    first: onnx.ModelProto,
    body: onnx.ModelProto,
    carried: list[str],
    found: list[int],
    *,
    with_candidates: bool,
) -> onnx.ModelProto:
    """What comes first, and then rounds until nothing is open.

    Args:
        first: from the inputs of `GraphInputs` to what is carried around the loop.
        body: from that to a truth, and that.
        carried: its names in both.
        found: places in it of the `OUTPUTS`.
        with_candidates: what is written are places in the first that is carried.
    """
    assert not first.functions and not body.functions, "all is written out"
    given = {*GraphInputs._fields, *carried}
    _rename(first.graph, lambda name: name if name in given else f"encoder/{name}")
    _rename(body.graph, lambda name: f"round/{name}")
    weights, same = _share([*first.graph.initializer, *body.graph.initializer])
    for graph in (first.graph, body.graph):
        _rename(graph, lambda name: same.get(name, name))
    constants = {"zero": 0, "one": 1, "true": True}
    weights += [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    ended = [f"ended_{number}" for number in range(len(carried))]
    begun = ["", "true", *(same.get(name, name) for name in carried)]
    nodes = [
        helper.make_node("Range", ["zero", "beam_size", "one"], ["places"]),
        helper.make_node("Range", ["zero", "n_best", "one"], ["ranks"]),
        *first.graph.node,
        helper.make_node("Loop", begun, ended, body=_loop_body(body.graph), name="rounds"),
        *_outputs(ended, found, with_candidates=with_candidates),
    ]
    whole = helper.make_graph(
        nodes,
        "translate",
        [_describe(name, *kind) for name, kind in INPUTS.items()],
        [_describe(name, *kind) for name, kind in OUTPUTS.items()],
        initializer=weights,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME, 1)]
    return helper.make_model(whole, opset_imports=opsets, ir_version=first.ir_version)


def _outputs(
    ended: list[str], found: list[int], *, with_candidates: bool
) -> Iterator[onnx.NodeProto]:
    """What comes out, of what the loop has left; see `_join`."""
    for place, name in zip(found, OUTPUTS, strict=True):
        if name == "tokens" and with_candidates:
            yield helper.make_node("Gather", [ended[0], ended[place]], [name])
        else:
            yield helper.make_node("Identity", [ended[place]], [name])


def _loop_body(graph: onnx.GraphProto) -> onnx.GraphProto:
    """A graph as the body of a loop; its weights are those of the graph around it."""
    inputs = [
        _describe("round/number", "int64", ()),
        helper.make_tensor_value_info("round/is_open", TensorProto.BOOL, []),
        *map(_without_shape, graph.input),
    ]
    return helper.make_graph(graph.node, "round", inputs, list(map(_without_shape, graph.output)))


def _without_shape(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    """It may have another after each round."""
    kind = value.type.tensor_type
    sizes = [None] * len(kind.shape.dim)
    return helper.make_tensor_value_info(value.name, kind.elem_type, sizes)


def _share(weights: Sequence[onnx.TensorProto]) -> tuple[list[onnx.TensorProto], dict[str, str]]:
    """Each weight once; and what stands in the place of those that are there already."""
    kept: dict[tuple[Any, ...], onnx.TensorProto] = {}
    same = {}
    for weight in weights:
        content = numpy_helper.to_array(weight).tobytes()
        first = kept.setdefault((weight.data_type, tuple(weight.dims), content), weight)
        if first is not weight:
            same[weight.name] = first.name
    return list(kept.values()), same


def _rename(graph: onnx.GraphProto, rename: Callable[[str], str]) -> None:
    """Rename all values and nodes of a graph and of those in it; noted shapes are forgotten."""
    for value in [*graph.input, *graph.output, *graph.initializer]:
        value.name = rename(value.name)
    del graph.value_info[:]
    for node in graph.node:
        node.name = rename(node.name)
        node.input[:] = [name and rename(name) for name in node.input]
        node.output[:] = [name and rename(name) for name in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, rename)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, whose messages mean nothing to a user."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
