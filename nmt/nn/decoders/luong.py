"""The decoder of Luong 2015: step first, then attend."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.attention import AnyAttentionState, AnyMemory, AttentionOutput
from nmt.nn.decoders.decoder import Decoder, DecoderOutput, DecoderParts, DecoderState, StepOutputs
from nmt.nn.decoders.fast_path import looking_at, slow_path_reason, tape_of, weight_of
from nmt.nn.fused.luong import fused_luong
from nmt.nn.layers.initialization import initialize_linear


class LuongDecoder(Decoder):
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
        self.slow_path_reason = (
            slow_path_reason(fused, parts, self.layers) if input_feeding else None
        )
        self.fed_to_gates: nn.Module | None = None
        if input_feeding:
            self.input_feed_size = parts.output_size
            self.fed_to_gates = self.layers[0].gates_from(parts.output_size)
        self.combine = nn.Linear(parts.value_size + self.hidden_size, parts.output_size)
        initialize_linear(self.combine)

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> DecoderOutput:
        """Go on from `state` through T words."""
        if self.fed_to_gates is None:
            return self._at_once(embedded, state)
        # One word at a time there is nothing to fuse, and the weights would be merged each time.
        if self.slow_path_reason is None and embedded.shape[1] > 1:
            return self._fused(self.fed_to_gates, embedded, state)
        return self._with_feeding(self.fed_to_gates, embedded, state)

    def _at_once(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> DecoderOutput:
        outputs, recurrent = self._unroll(embedded, state)
        vectors, attended = self._attend(outputs, state.memory, state.attention)
        after = replace(state, recurrent=recurrent, attention=attended.state)
        return DecoderOutput(vectors, attended.weights, after, attended.sampled)

    def _fused(
        self, fed_to_gates: nn.Module, embedded: Float[Tensor, "B T E"], state: DecoderState
    ) -> DecoderOutput:
        cell = self.layers[0]
        assert state.input_feed is not None
        vectors, states, weights = fused_luong(
            tape_of(cell),
            cell.project(embedded),
            state.recurrent[:, 0],
            state.input_feed,
            looking_at(self.attention, state.memory),
            (cell.weight_hidden, cell.bias_hidden),
            weight_of(fed_to_gates),
            (self.combine.weight, self.combine.bias),
        )
        after = replace(state, recurrent=states[:, -1:], input_feed=vectors[:, -1])
        return DecoderOutput(vectors, weights, after)

    def _with_feeding(
        self, fed_to_gates: nn.Module, embedded: Float[Tensor, "B T E"], state: DecoderState
    ) -> DecoderOutput:
        assert state.input_feed is not None
        projected, dropout_masks = self.layers[0].project(embedded), self._dropout_masks(state)
        recurrent, input_feed, attention_state = (
            list(state.recurrent.unbind(1)),
            state.input_feed,
            state.attention,
        )
        steps = StepOutputs()
        for step in range(embedded.shape[1]):
            gates = projected[:, step] + fed_to_gates(input_feed)
            output, recurrent = self._step(gates, recurrent, dropout_masks)
            vector, attended = self._attend(output.unsqueeze(1), state.memory, attention_state)
            input_feed, attention_state = vector.squeeze(1), attended.state
            steps.add(input_feed, attended)
        vectors, _, weights, sampled = steps.stack()
        after = replace(
            state,
            recurrent=torch.stack(recurrent, dim=1),
            input_feed=input_feed,
            attention=attention_state,
        )
        return DecoderOutput(vectors, weights, after, sampled)

    def _attend(
        self, outputs: Float[Tensor, "B T H"], memory: AnyMemory, attention_state: AnyAttentionState
    ) -> tuple[Float[Tensor, "B T O"], AttentionOutput]:
        """The attentional vectors, and what was seen."""
        attended: AttentionOutput = self.attention(outputs, memory, attention_state)
        together = torch.cat([attended.context, outputs], dim=-1)
        return torch.tanh(self.combine(together)), attended
