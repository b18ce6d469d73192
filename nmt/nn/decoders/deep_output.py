"""Decoders that read words from state, word and context together."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.decoders.decoder import DecoderParts
from nmt.nn.decoders.stepwise import StepwiseDecoder
from nmt.nn.layers.initialization import initialize_linear
from nmt.nn.shapes import Contexts, Embedded


class DeepOutputDecoder(StepwiseDecoder):
    """``o_t = tanh(W_s s_t + W_y y_{t-1} + W_c c_t)`` (deep output: Pascanu 2014).

    Args:
        parts: what it is made of.
    """

    def __init__(self, parts: DecoderParts) -> None:
        super().__init__(parts)
        self.state_to_output = nn.Linear(self.hidden_size, parts.output_size)
        self.word_to_output = nn.Linear(parts.input_size, parts.output_size, bias=False)
        self.context_to_output = nn.Linear(parts.value_size, parts.output_size, bias=False)
        for linear in (self.state_to_output, self.word_to_output, self.context_to_output):
            initialize_linear(linear)

    def _read_out(
        self, outputs: Float[Tensor, "B T H"], embedded: Embedded, contexts: Contexts
    ) -> Float[Tensor, "B T O"]:
        return torch.tanh(
            self.state_to_output(outputs)
            + self.word_to_output(embedded)
            + self.context_to_output(contexts)
        )
