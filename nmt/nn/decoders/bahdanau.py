"""The decoder of Bahdanau 2015: attend first, then step."""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from nmt.nn.attention.attention import AnyAttentionState, AttentionOutput
from nmt.nn.decoders.decoder import DecoderOutput, DecoderParts, DecoderState
from nmt.nn.decoders.deep_output import DeepOutputDecoder
from nmt.nn.decoders.fast_path import looking_at, slow_path_reason, tape_of, weight_of
from nmt.nn.fused.decoders import fused_bahdanau


class BahdanauDecoder(DeepOutputDecoder):
    """Attend with the previous state; the context enters the cell; deep output.

    ``c_t = attend(s_{t-1})``, ``s_t = cell([y_{t-1}; c_t], s_{t-1})``,
    ``o_t = tanh(W_s s_t + W_y y_{t-1} + W_c c_t)`` (Bahdanau 2015, A.2.2; deep output: Pascanu
    2014). The paper reads the output from ``s_{t-1}`` through maxout; the new state and tanh are
    what dl4mt and Nematus settled on. With several layers the first one attends (Wu 2016), and
    ``s_t`` in the output is the top layer's.

    Args:
        parts: what it is made of.
        fused: run all words as one autograd node where there is one for the parts (one layer of
            GRU or LSTM; additive score or a product; softmax); False takes the plain loop.
    """

    def __init__(self, parts: DecoderParts, *, fused: bool = True) -> None:
        super().__init__(parts)
        self.context_to_gates = self.layers[0].gates_from(parts.value_size)
        self.slow_path_reason = slow_path_reason(fused, parts, self.layers)

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> DecoderOutput:
        """Go on from `state` through T words."""
        # One word at a time there is nothing to fuse, and the weights would be merged each time.
        if self.slow_path_reason is not None or embedded.shape[1] == 1:
            return super().forward(embedded, state)
        cell = self.layers[0]
        states, contexts, weights = fused_bahdanau(
            tape_of(cell),
            cell.project(embedded),
            state.recurrent[:, 0],
            looking_at(self.attention, state.memory),
            weight_of(self.context_to_gates),
            cell.weight_hidden,
            cell.bias_hidden,
        )
        vectors = self._deep_output(cell.hidden(states), embedded, contexts)
        return DecoderOutput(vectors, weights, replace(state, recurrent=states[:, -1:]))

    def _attend_and_step(
        self,
        projected: Float[Tensor, "B G"],
        recurrent: list[Tensor],
        dropout_masks: list[Tensor | None],
        state: DecoderState,
        attention_state: AnyAttentionState,
    ) -> tuple[Float[Tensor, "B H"], AttentionOutput, list[Tensor]]:
        """One step: what the top shows, what was seen, and the states of all layers."""
        query = self.layers[0].hidden(recurrent[0]).unsqueeze(1)
        attended: AttentionOutput = self.attention(query, state.memory, attention_state)
        gates = projected + self.context_to_gates(attended.context.squeeze(1))
        output, recurrent = self._step(gates, recurrent, dropout_masks)
        return output, attended, recurrent
