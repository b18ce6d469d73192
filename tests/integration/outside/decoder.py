"""A wiring of the decoder: the context passes a gate before it enters the cell."""

import torch
from torch import Tensor, nn

from nmt.nn.attention.attention import AttentionOutput
from nmt.nn.decoders.decoder import DeepOutputDecoder
from nmt.nn.decoders.interface import DecoderParts, StepState


class GatedContext(DeepOutputDecoder):
    """Attend with the previous state, gate the context, then step.

    Args:
        parts: the parts and their sizes.
        bias: whether the gate has a bias.
    """

    def __init__(self, parts: DecoderParts, *, bias: bool = True) -> None:
        super().__init__(parts)
        self.context_to_gates = self.layers[0].gates_from(parts.value_size)
        self.gate = nn.Linear(parts.value_size, parts.value_size, bias=bias)

    def _step(self, word: Tensor, state: StepState) -> tuple[Tensor, AttentionOutput]:
        attended = self._attend(self.layers[0].hidden(state.recurrent[0]), state)
        context = attended.context.squeeze(1)
        gates = word + self.context_to_gates(context * torch.sigmoid(self.gate(context)))
        return self._step_upper(self._step_first(gates, state), state), attended
