"""The conditional decoder: half a step, attend, the other half."""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from nmt.nn.attention.attention import AnyAttentionState, AttentionOutput
from nmt.nn.decoders.decoder import DecoderOutput, DecoderParts, DecoderState
from nmt.nn.decoders.deep_output import DeepOutputDecoder
from nmt.nn.decoders.fast_path import looking_at, slow_path_reason, tape_of
from nmt.nn.fused.decoders import fused_conditional


class ConditionalDecoder(DeepOutputDecoder):
    """Two transitions with the attention between them (cGRU of dl4mt; Sennrich 2017, Nematus).

    ``s'_t = cell_1(y_{t-1}, s_{t-1})``, ``c_t = attend(s'_t)``, ``s_t = cell_2(c_t, s'_t)``, deep
    output. With several layers the first one attends, and the others stand on ``s_t``.

    Args:
        parts: what it is made of; a second cell is made for ``cell_2``.
        fused: run all words as one autograd node where there is one for the parts (one layer of
            GRU or LSTM; additive score or a product; softmax); False takes the plain loop.
    """

    def __init__(self, parts: DecoderParts, *, fused: bool = True) -> None:
        super().__init__(parts)
        self.second = parts.make_cell(parts.value_size)
        self.slow_path_reason = slow_path_reason(fused, parts, self.layers)

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> DecoderOutput:
        """Go on from `state` through T words."""
        # One word at a time there is nothing to fuse, and the weights would be merged each time.
        if self.slow_path_reason is not None or embedded.shape[1] == 1:
            return super().forward(embedded, state)
        first, second = self.layers[0], self.second
        states, contexts, weights = fused_conditional(
            tape_of(first),
            first.project(embedded),
            state.recurrent[:, 0],
            looking_at(self.attention, state.memory),
            (first.weight_hidden, first.bias_hidden),
            (second.weight_input, second.bias_input),
            (second.weight_hidden, second.bias_hidden),
        )
        vectors = self._deep_output(second.hidden(states), embedded, contexts)
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
        first = self.layers[0]
        between = first(projected, recurrent[0], dropout_masks[0])
        query = first.hidden(between).unsqueeze(1)
        attended: AttentionOutput = self.attention(query, state.memory, attention_state)
        context = self.second.project(attended.context.squeeze(1))
        after = self.second(context, between, dropout_masks[0])
        output, upper = self._upper(self.second.hidden(after), recurrent, dropout_masks)
        return output, attended, [after, *upper]
