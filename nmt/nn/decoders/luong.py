"""The decoder of Luong 2015: step first, then attend."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.attention import AttentionOutput
from nmt.nn.decoders.decoder import DecoderOutput, DecoderParts, DecoderState
from nmt.nn.decoders.stepwise import StepState, StepwiseDecoder
from nmt.nn.fused.luong import FusedLuong
from nmt.nn.layers import initialize_linear
from nmt.nn.shapes import Contexts, Embedded, Gates


class LuongDecoder(StepwiseDecoder):
    """Attend with the new state; the attentional vector is the output, and may be fed back.

    ``h_t = cell([y_{t-1}; h~_{t-1}], h_{t-1})``, ``c_t = attend(h_t)``,
    ``h~_t = tanh(W_c [c_t; h_t])`` (Luong 2015, eq. 5 and section 3.3).

    Args:
        parts: what it is made of; the top layer attends, and O is that of the attentional vector.
        input_feeding: feed the attentional vector to the next step. Without it the steps do not
            wait for the attention, and all words are attended at once.
        fused: with input feeding, run all words as one autograd node where there is one for the
            parts (one layer of GRU or LSTM; additive score or a product; softmax); False takes the
            plain loop.
    """

    def __init__(
        self, parts: DecoderParts, *, input_feeding: bool = True, fused: bool = True
    ) -> None:
        super().__init__(parts)
        self.fed_to_gates: nn.Module | None = None
        if input_feeding:
            self.slow_path_reason = self._find_slow_path_reason(parts, fused=fused)
            self.input_feed_size = parts.output_size
            self.fed_to_gates = self.layers[0].gates_from(parts.output_size)
        self.combine = initialize_linear(
            nn.Linear(parts.value_size + self.hidden_size, parts.output_size)
        )

    def forward(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        """Continue from `state` with T words."""
        if self.fed_to_gates is not None:
            return super().forward(embedded, state)
        outputs, recurrent = self._unroll(embedded, state)
        attended: AttentionOutput = self.attention(outputs, state.memory, state.attention)
        vectors = self._combine(attended.context, outputs)
        after = replace(state, recurrent=recurrent, attention=attended.state)
        return DecoderOutput(vectors, attended.weights, after, attended.sampled)

    def _step(self, word: Gates, state: StepState) -> tuple[Float[Tensor, "B O"], AttentionOutput]:
        assert self.fed_to_gates is not None
        hidden = self._step_layers(word + self.fed_to_gates(state.input_feed), state)
        attended = self._attend(hidden, state)
        state.input_feed = self._combine(attended.context.squeeze(1), hidden)
        return state.input_feed, attended

    def _read_out(
        self, outputs: Float[Tensor, "B T O"], embedded: Embedded, contexts: Contexts
    ) -> Float[Tensor, "B T O"]:
        return outputs

    def _combine(
        self, context: Float[Tensor, "*N C"], hidden: Float[Tensor, "*N H"]
    ) -> Float[Tensor, "*N O"]:
        """Return the attentional vectors."""
        return torch.tanh(self.combine(torch.cat([context, hidden], dim=-1)))

    def _forward_fused(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        cell = self.layers[0]
        assert self.fed_to_gates is not None and state.input_feed is not None
        vectors, states, weights = self._run_fused(
            FusedLuong,
            embedded,
            state,
            cell.weight_hidden,
            state.input_feed,
            cell.bias_hidden,
            self.fed_to_gates.get_parameter("weight"),
            self.combine.weight,
            self.combine.bias,
        )
        after = replace(state, recurrent=states[:, -1:], input_feed=vectors[:, -1])
        return DecoderOutput(vectors, weights, after)
