"""The decoder without attention, which reads the source from its initial state only."""

from dataclasses import replace
from typing import ClassVar

import torch

from nmt.nn.attention.attention import AttentionOutput
from nmt.nn.decoders.decoder import Decoder
from nmt.nn.decoders.interface import DecoderOutput, DecoderParts, DecoderState
from nmt.nn.layers import Linear
from nmt.nn.shapes import Embedded


class SutskeverDecoder(Decoder):
    """``h_t = cell(y_{t-1}, h_{t-1})``, ``o_t = tanh(W h_t)``, with the source in h_0 only.

    A baseline without attention (Sutskever 2014). For one fixed context vector at every step (Cho
    2014), use another decoder with `model.attention: null`.

    Args:
        parts: the parts and their sizes; the context of the attention, a `FixedContext`, is unused.
    """

    uses_attention: ClassVar[bool] = False

    def __init__(self, parts: DecoderParts) -> None:
        super().__init__(parts)
        self.state_to_output = Linear(self.hidden_size, parts.output_size)

    def forward(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        """Continue from `state` with T words."""
        outputs, recurrent = self._unroll(embedded, state)
        nothing: AttentionOutput = self.attention(outputs, state.memory)
        vectors = torch.tanh(self.state_to_output(outputs))
        return DecoderOutput(vectors, nothing.weights, replace(state, recurrent=recurrent))
