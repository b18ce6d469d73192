"""The decoder of GNMT: the first layer attends, and all layers read the context."""

from typing import ClassVar

import torch

from nmt.nn.attention.attention import AttentionOutput
from nmt.nn.decoders.decoder import StepwiseDecoder
from nmt.nn.decoders.interface import DecoderParts, StepState
from nmt.nn.layers import Linear
from nmt.nn.shapes import Contexts, Embedded, Gates, Hidden, Outputs, Vectors


class GNMTDecoder(StepwiseDecoder):
    """The first layer attends with its new state; all other layers read the context.

    ``h^1_t = cell_1([y_{t-1}; c_{t-1}])``, ``c_t = attend(h^1_t)``,
    ``h^l_t = cell_l([h^{l-1}_t; c_t])`` (Wu 2016, section 3, in the form of tensorflow/nmt's
    gnmt_v2). The output is computed from the top layer and the context.

    Args:
        parts: the parts and their sizes.
    """

    upper_layers_read_context: ClassVar[bool] = True

    def __init__(self, parts: DecoderParts) -> None:
        super().__init__(parts)
        self.input_feed_size = parts.value_size
        self.context_to_gates = self.layers[0].gates_from(parts.value_size)
        self.combine = Linear(parts.value_size + self.hidden_size, parts.output_size)

    def _step(self, word: Gates, state: StepState) -> tuple[Hidden, AttentionOutput]:
        hidden = self._step_first(word + self.context_to_gates(state.input_feed), state)
        attended = self._attend(hidden, state)
        state.input_feed = attended.context.squeeze(1)
        return self._step_upper(hidden, state, state.input_feed), attended

    def _read_out(self, outputs: Outputs, embedded: Embedded, contexts: Contexts) -> Vectors:
        return torch.tanh(self.combine(torch.cat([contexts, outputs], dim=-1)))
