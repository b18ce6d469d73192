"""The decoder of GNMT: the first layer attends, and all layers read what it saw."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.attention import AttentionOutput
from nmt.nn.decoders.decoder import Decoder, DecoderOutput, DecoderParts, DecoderState, StepOutputs
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

    slow_path_reason = "the style gnmt"

    def __init__(self, parts: DecoderParts) -> None:
        super().__init__(parts)
        self.input_feed_size = parts.value_size
        self.context_to_gates = self.layers[0].gates_from(parts.value_size)
        self.combine = nn.Linear(parts.value_size + self.hidden_size, parts.output_size)
        initialize_linear(self.combine)

    def upper_size(self, first: Cell, value_size: int) -> int:
        """Numbers that go into a layer above the first: of the layer below, and of the context."""
        return first.hidden_size + value_size

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> DecoderOutput:
        """Go on from `state` through T words."""
        assert state.input_feed is not None
        first = self.layers[0]
        projected, dropout_masks = first.project(embedded), self._dropout_masks(state)
        recurrent, context, attention_state = (
            list(state.recurrent.unbind(1)),
            state.input_feed,
            state.attention,
        )
        steps = StepOutputs()
        for step in range(embedded.shape[1]):
            gates = projected[:, step] + self.context_to_gates(context)
            lowest = first(gates, recurrent[0], dropout_masks[0])
            shown = first.hidden(lowest)
            attended: AttentionOutput = self.attention(
                shown.unsqueeze(1), state.memory, attention_state
            )
            context, attention_state = attended.context.squeeze(1), attended.state
            output, upper = self._upper(shown, recurrent, dropout_masks, context)
            recurrent = [lowest, *upper]
            steps.add(output, attended)
        outputs, contexts, weights, sampled = steps.stack()
        vectors = torch.tanh(self.combine(torch.cat([contexts, outputs], dim=-1)))
        after = replace(
            state,
            recurrent=torch.stack(recurrent, dim=1),
            input_feed=context,
            attention=attention_state,
        )
        return DecoderOutput(vectors, weights, after, sampled)
