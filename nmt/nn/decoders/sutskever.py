"""The decoder without attention: all that it knows of the source is its first state."""

from dataclasses import replace
from typing import ClassVar

import torch

from nmt.nn.attention.attention import AttentionOutput
from nmt.nn.decoders.decoder import Decoder
from nmt.nn.decoders.interface import DecoderOutput, DecoderParts, DecoderState
from nmt.nn.layers import Linear
from nmt.nn.shapes import Embedded


class SutskeverDecoder(Decoder):
    """``h_t = cell(y_{t-1}, h_{t-1})``, ``o_t = tanh(W h_t)``, the source only in h_0.

    The baseline that shows why attention exists (Sutskever 2014). One fixed vector at every step
    (Cho 2014) is another wiring with `model.attention: null`.

    Args:
        parts: what it is made of; the attention, a `FixedContext`, is not read.
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
