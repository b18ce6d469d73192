"""The decoder of GNMT: the first layer attends, and all layers read what it saw."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.attention import Attended
from nmt.nn.decoders.decoder import Decoded, Decoder, DecoderParts, DecoderState, Steps
from nmt.nn.layers.initialization import initialize_linear
from nmt.nn.recurrent.recurrent import Cell


class GNMTDecoder(Decoder):
    """The first layer attends with its new state; the context goes into all the others.

    ``h^1_t = cell_1([y_{t-1}; c_{t-1}])``, ``c_t = attend(h^1_t)``,
    ``h^l_t = cell_l([h^{l-1}_t; c_t])`` (Wu 2016, section 3, in the form of tensorflow/nmt's
    gnmt_v2). The output is read from the top layer and the context.

    Args:
        parts: what it is made of.
    """

    why_stepwise = "the style gnmt"

    def __init__(self, parts: DecoderParts) -> None:
        super().__init__(parts)
        self.fed_size = parts.value_size
        self.context_to_gates = self.layers[0].gates_from(parts.value_size)
        self.combine = nn.Linear(parts.value_size + self.hidden_size, parts.output_size)
        initialize_linear(self.combine)

    def upper_size(self, first: Cell, value_size: int) -> int:
        """Numbers that go into a layer above the first: of the layer below, and of the context."""
        return first.hidden_size + value_size

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        """Go on from `state` through T words."""
        assert state.fed is not None
        first = self.layers[0]
        projected, keep = first.project(embedded), self._keep(state)
        recurrent, context, past = list(state.recurrent.unbind(1)), state.fed, state.past
        steps = Steps()
        for step in range(embedded.shape[1]):
            gates = projected[:, step] + self.context_to_gates(context)
            lowest = first(gates, recurrent[0], keep[0])
            shown = first.output(lowest)
            attended: Attended = self.attention(shown.unsqueeze(1), state.memory, past)
            context, past = attended.context.squeeze(1), attended.past
            output, upper = self._upper(shown, recurrent, keep, context)
            recurrent = [lowest, *upper]
            steps.add(output, attended)
        outputs, contexts, weights, choice = steps.stack()
        vectors = torch.tanh(self.combine(torch.cat([contexts, outputs], dim=-1)))
        after = replace(state, recurrent=torch.stack(recurrent, dim=1), fed=context, past=past)
        return Decoded(vectors, weights, after, choice)
