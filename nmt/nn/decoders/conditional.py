"""The conditional decoder: half a step, attend, the other half."""

from dataclasses import replace

from nmt.nn.attention.attention import AttentionOutput
from nmt.nn.decoders.decoder import DecoderOutput, DecoderParts, DecoderState
from nmt.nn.decoders.stepwise import DeepOutputDecoder, StepState
from nmt.nn.fused.conditional import FusedConditional
from nmt.nn.shapes import Embedded, Gates, Hidden


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
        self.slow_path_reason = self._find_slow_path_reason(parts, fused=fused)

    def _step(self, word: Gates, state: StepState) -> tuple[Hidden, AttentionOutput]:
        first, dropout_mask = self.layers[0], state.dropout_masks[0]
        between = first(word, state.recurrent[0], dropout_mask)
        attended = self._attend(first.hidden(between), state)
        context = self.second.project(attended.context.squeeze(1))
        state.recurrent[0] = self.second(context, between, dropout_mask)
        return self._step_upper(self.second.hidden(state.recurrent[0]), state), attended

    def _forward_fused(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        first, second = self.layers[0], self.second
        states, contexts, weights = self._run_fused(
            FusedConditional,
            embedded,
            state,
            second.weight_hidden,
            first.weight_hidden,
            first.bias_hidden,
            second.weight_input,
            second.bias_input,
            second.bias_hidden,
        )
        vectors = self._read_out(second.hidden(states), embedded, contexts)
        return DecoderOutput(vectors, weights, replace(state, recurrent=states[:, -1:]))
