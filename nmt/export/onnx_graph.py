"""Export of a model with its search to one ONNX graph, from source tokens to translations."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import onnx
import torch
from jaxtyping import Bool, Int
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from nmt.core.special_tokens import BOS, EOS, PAD, SPECIAL_SYMBOLS
from nmt.export.beam_search import ExportableBeamSearch
from nmt.export.onnx_file import INPUTS, OUTPUTS
from nmt.export.onnx_operators import RUNTIME, merge_products, operators
from nmt.inference.shortlist import Shortlist
from nmt.nn.decoders.interface import AllowedTokens, DecoderState
from nmt.nn.model import Model
from nmt.search.search import StepFunction

OPSET: Final = 20
_TYPES: Final = {"int64": TensorProto.INT64, "float": TensorProto.FLOAT}


class ShortlistGraph(nn.Module):
    """`Shortlist` in tensor operations: the tokens that the translations of a batch may use.

    Args:
        shortlist: of the run.
        vocabulary_size: of the target.

    Attributes:
        everywhere: `[V]`, mask of the special and frequent tokens, which every translation may use.
    """

    candidates: Tensor
    everywhere: Tensor

    def __init__(self, shortlist: Shortlist, vocabulary_size: int) -> None:
        super().__init__()
        lexicon = shortlist.lexicon
        candidates = lexicon.candidates[:, : shortlist.num_candidates].astype(np.int64)
        candidates[[PAD, BOS, EOS]] = PAD  # these source tokens add no candidates
        everywhere = torch.zeros(vocabulary_size, dtype=torch.bool)
        everywhere[: len(SPECIAL_SYMBOLS)] = True
        everywhere[lexicon.frequent[: shortlist.num_frequent].astype(np.int64)] = True
        self.copies = shortlist.copies
        self.register_buffer("candidates", torch.from_numpy(candidates))
        self.register_buffer("everywhere", everywhere)

    def forward(self, source: Int[Tensor, "B S"]) -> tuple[Int[Tensor, " U"], Bool[Tensor, "B U"]]:
        """Return the sorted tokens of a batch, and a mask of those that each sentence may use."""
        wanted = self.candidates[source].flatten(1)
        if self.copies:
            wanted = torch.cat([wanted, source], dim=1)
        everywhere = self.everywhere.unsqueeze(0)
        none = everywhere & torch.zeros_like(source[:, :1], dtype=torch.bool)
        mask = none.scatter(1, wanted, torch.ones_like(wanted, dtype=torch.bool)) | everywhere
        tokens = mask.any(dim=0).nonzero().squeeze(1)
        return tokens, mask.index_select(1, tokens)


class TranslationGraph(nn.Module):
    """A module that runs the model and its search, for export.

    Args:
        model: in evaluation mode.
        search: the exportable search.
    """

    def __init__(self, model: Model, search: ExportableBeamSearch) -> None:
        super().__init__()
        self.model = model
        self.search = search

    def forward(
        self,
        source: Int[Tensor, "B S"],
        source_lengths: Int[Tensor, " B"],
        places: Int[Tensor, " K"],
        ranks: Int[Tensor, " N"],
        columns: Int[Tensor, " U"] | None = None,
        mask: Bool[Tensor, "B U"] | None = None,
    ) -> tuple[Tensor, ...]:
        """Return the best hypotheses of each sentence.

        Args:
            source: tokens with EOS, padded with PAD on the right.
            source_lengths: of each sentence.
            places: 0 to K - 1, for a beam of K.
            ranks: 0 to N - 1, for the N best.
            columns: tokens of the batch's shortlist; None: all tokens.
            mask: the columns that each sentence may use.
        """
        allowed = None if mask is None else AllowedTokens(mask)
        step: StepFunction[DecoderState] = self.model.step
        if columns is not None:
            step = self.model.restrict(columns)
        state = self.model.read(source, source_lengths, with_coverage=False, allowed=allowed)
        found = self.search(step, state, source_lengths, source.shape[1], places, ranks)
        tokens = found.tokens if columns is None else columns[found.tokens]
        return found.scores, found.log_probabilities, found.lengths, tokens


def make_graph(
    translation: TranslationGraph, vocabulary_size: int, candidates: ShortlistGraph | None
) -> onnx.ModelProto:
    """Return the graph of a model and its search, from `INPUTS` to `OUTPUTS`.

    Args:
        translation: the model, in evaluation mode on the CPU, and its search.
        vocabulary_size: of the source.
        candidates: the shortlist; None: translations may use all tokens.
    """
    source = torch.full((3, 7), vocabulary_size - 1)
    source[:, -1] = EOS
    # Example sizes that export as dynamic: they are all different, and none is 1.
    example = {"source": source, "source_lengths": torch.full((3,), 7)}
    example |= {"places": torch.arange(5), "ranks": torch.arange(2)}
    nodes = [
        helper.make_node("Range", ["zero", "beam_size", "one"], ["places"]),
        helper.make_node("Range", ["zero", "n_best", "one"], ["ranks"]),
    ]
    weights = [numpy_helper.from_array(np.array(n), name) for n, name in enumerate(["zero", "one"])]
    if candidates is not None:
        # Exported separately, because a loop cannot read tensors with data-dependent sizes.
        chosen = _export(candidates, {"source": source}, ["columns", "mask"])
        chosen = onnx.compose.add_prefix(
            chosen, "shortlist/", rename_inputs=False, rename_outputs=False
        )
        nodes += chosen.graph.node
        weights += chosen.graph.initializer
        example |= {"columns": torch.arange(11), "mask": torch.ones(3, 11, dtype=torch.bool)}
    exported = _export(translation, example, [*OUTPUTS])
    nodes += exported.graph.node
    weights += exported.graph.initializer
    inputs, outputs = (
        [
            helper.make_tensor_value_info(name, _TYPES[kind], list(sizes))
            for name, (kind, sizes) in described.items()
        ]
        for described in (INPUTS, OUTPUTS)
    )
    graph = helper.make_graph(nodes, "translate", inputs, outputs, initializer=weights)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(RUNTIME, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=exported.ir_version)


def _export(module: nn.Module, example: dict[str, Tensor], outputs: list[str]) -> onnx.ModelProto:
    """Export a module with these named inputs and outputs, all sizes dynamic."""
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    torch.compiler.reset()  # state from earlier exports would make sizes static
    given = tuple(example.values())
    sizes = tuple(dict.fromkeys(range(tensor.dim()), torch.export.Dim.AUTO) for tensor in given)
    with torch.no_grad(), _quiet():
        exported = torch.onnx.export(
            torch.export.export(module, given, dynamic_shapes=sizes),
            (),
            dynamo=True,
            opset_version=OPSET,
            input_names=[*example],
            output_names=outputs,
            custom_translation_table=operators(),
            verbose=False,
        )
        assert exported is not None
        merge_products(exported.model)
        # Nodes contain source paths of the exporting machine.
        ClearMetadataAndDocStringPass()(exported.model)
    proto: onnx.ModelProto = exported.model_proto
    return proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, whose messages are of no use to users."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
