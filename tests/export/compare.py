"""Compare files with the models that they were exported from; run by `test_onnx_graph.py`.

In a process of its own, as the checks of shapes that the tests have on cannot be exported.

    python tests/export/compare.py NAME [FORM]
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from nmt.build.model import build_model
from nmt.config.model import ModelConfig
from nmt.core.batch import make_source
from nmt.core.special_tokens import SPECIAL_SYMBOLS, UNK
from nmt.export.beam_search import ExportableBeamSearch
from nmt.export.exported_translator import read_hypotheses
from nmt.export.onnx_graph import ShortlistGraph, TranslationGraph, make_graph
from nmt.inference.shortlist import Shortlist
from nmt.nn import int8 as quantization
from nmt.nn.model import Model
from nmt.search.beam import BeamSearch
from nmt.search.hypothesis import Hypothesis
from nmt.search.length_penalty import GNMTPenalty, WordReward
from nmt.search.request import Constraints, Request
from nmt.search.rules import LengthLimits, Rules
from nmt.search.search import Scoring, Stepper
from nmt.word_alignment.ibm1 import Lexicon

VOCABULARY = 40
LIMITS = LengthLimits(max_length=12)
SMALL = {
    "embedding": {"size": 12, "dropout": 0.0, "tie": "all"},
    "encoder": {"hidden_size": 8, "dropout": 0.0},
    "decoder": {"hidden_size": 16, "dropout": 0.0, "output_dropout": 0.0},
}


def make_model(form: dict[str, dict[str, Any] | None]) -> Model:
    groups: dict[str, Any] = {}
    for key in {*SMALL, *form}:
        given = form.get(key, {})
        groups[key] = None if given is None else {**SMALL.get(key, {}), **given}
    torch.manual_seed(2)
    model = build_model(ModelConfig.model_validate(groups), VOCABULARY, VOCABULARY)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)  # so that the model has opinions
    return model.eval().requires_grad_(False)


def make_sources(count: int) -> list[list[int]]:
    generator = np.random.default_rng(count)
    first = len(SPECIAL_SYMBOLS)
    lengths = generator.integers(1, 9, count)
    return [generator.integers(first, VOCABULARY, length).tolist() for length in lengths]


def run_file(
    proto: onnx.ModelProto, sources: list[list[int]], beam_size: int, n_best: int
) -> list[list[Hypothesis]]:
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    source, lengths = make_source(sources)
    given = {"source": source.numpy(), "source_lengths": lengths.numpy()}
    given |= {"beam_size": np.array(beam_size), "n_best": np.array(n_best)}
    return read_hypotheses(session.run(None, given))


def run_search(
    model: Model, sources: list[list[int]], beam_size: int, n_best: int
) -> list[list[Hypothesis]]:
    source, lengths = make_source(sources)
    search = BeamSearch(beam_size, n_best, Scoring(GNMTPenalty()), Rules(LIMITS))
    with torch.inference_mode():
        return search(
            Stepper(model.step), model.start(model.encode(source, lengths)), Request(lengths)
        )


def assert_same(
    found: list[list[Hypothesis]], expected: list[list[Hypothesis]], tolerance: float
) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        scores = [item.score for item in theirs]
        assert [item.score for item in mine] == pytest.approx(scores, abs=tolerance)
    same = [
        [item.tokens for item in mine] == [item.tokens for item in theirs]
        for mine, theirs in zip(found, expected, strict=True)
    ]
    assert sum(same) >= 0.9 * len(same)


def each_part(form: dict[str, dict[str, Any] | None]) -> None:
    model = make_model(form)
    proto = make_graph(
        TranslationGraph(model, ExportableBeamSearch(GNMTPenalty(), LIMITS)), VOCABULARY, None
    )
    for count, beam_size, n_best in ((1, 1, 1), (1, 4, 2), (30, 4, 1), (30, 1, 1), (12, 6, 6)):
        sources = make_sources(count)
        assert_same(
            run_file(proto, sources, beam_size, n_best),
            run_search(model, sources, beam_size, n_best),
            tolerance=1e-4,
        )


def int8() -> None:
    vars(quantization)["_SMALLEST_WEIGHT"] = 0  # so that all are quantised
    model = make_model({})
    model.quantize()
    proto = make_graph(
        TranslationGraph(model, ExportableBeamSearch(GNMTPenalty(), LIMITS)), VOCABULARY, None
    )
    loops = [node for node in nodes(proto.graph) if node.op_type == "Loop"]
    steps = [node for loop in loops for body in loop.attribute for node in nodes(body.g)]
    for kinds in ({node.op_type for node in nodes(proto.graph)}, {node.op_type for node in steps}):
        assert "MatMulIntegerToFloat" in kinds, "products of 8 bits are one node of ONNX Runtime"
        assert "MatMulInteger" not in kinds
    sources = make_sources(30)
    assert_same(run_file(proto, sources, 4, 2), run_search(model, sources, 4, 2), tolerance=0.05)


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield all nodes of a graph, and of those in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from nodes(attribute.g)


def weights_are_shared() -> None:
    """Embeddings are one table (`tie: all`) in both pieces.

    The projection uses it too or, as torch's exporter will have it, has it once more, turned.
    """
    model = make_model({})
    proto = make_graph(
        TranslationGraph(model, ExportableBeamSearch(GNMTPenalty(), LIMITS)), VOCABULARY, None
    )
    table = [item for item in proto.graph.initializer if list(item.dims) == [VOCABULARY, 12]]
    turned = [item for item in proto.graph.initializer if list(item.dims) == [12, VOCABULARY]]
    assert len(table) == 1
    using = [node for node in nodes(proto.graph) if table[0].name in node.input]
    products = [node for node in using if node.op_type == "Gemm"]
    assert len(turned) + len(products) == 1, "the projection has its weights in one place"
    onnx.checker.check_model(proto)


def a_shortlist() -> None:
    """It chooses what `Shortlist` chooses, unknown words and all, and what is written is of it."""
    model = make_model({})
    generator = np.random.default_rng(0)
    table = generator.integers(0, VOCABULARY, (VOCABULARY, 3)).astype(np.int32)
    frequent = np.array([5, 6, 7, 8, 9, 10], np.int32)
    lexicon = Lexicon(table, np.ones_like(table, np.float32), frequent)
    shortlist = Shortlist(lexicon, 2, 5, copies=True)
    candidates = ShortlistGraph(shortlist, VOCABULARY)
    sources = [*make_sources(20), [1, 9], [UNK]]
    subset, allowed = shortlist.choose(sources, [Constraints()] * len(sources))
    tokens, mask = candidates(make_source(sources)[0])
    assert torch.equal(tokens, subset.tokens) and torch.equal(mask, allowed.mask)
    proto = make_graph(
        TranslationGraph(model, ExportableBeamSearch(GNMTPenalty(), LIMITS)), VOCABULARY, candidates
    )
    together = run_file(proto, sources, 3, 1)
    for source, (best,), row in zip(sources, together, allowed.mask, strict=True):
        assert set(best.tokens) <= set(subset.tokens[row].tolist())
        alone = run_file(proto, [source], 3, 1)[0][0]
        assert alone.tokens == best.tokens
        assert alone.score == pytest.approx(best.score, abs=1e-4)


def other_limits() -> None:
    """Limits by the source and none, and another penalty; all of the n best."""
    model = make_model({})
    for limits in (
        LengthLimits(min_length=2, max_length=40, min_length_ratio=0.7, max_length_ratio=1.3),
        LengthLimits(max_length=9, max_length_ratio=None),
    ):
        proto = make_graph(
            TranslationGraph(model, ExportableBeamSearch(WordReward(), limits)), VOCABULARY, None
        )
        for count in (3, 25):
            sources = make_sources(count)
            source, lengths = make_source(sources)
            search = BeamSearch(4, 4, Scoring(WordReward()), Rules(limits))
            with torch.inference_mode():
                state = model.start(model.encode(source, lengths))
                expected = search(Stepper(model.step), state, Request(lengths))
            assert_same(run_file(proto, sources, 4, 4), expected, tolerance=1e-3)


if __name__ == "__main__":
    each_part(json.loads(sys.argv[2])) if sys.argv[1] == "each_part" else globals()[sys.argv[1]]()
