"""The decoder of Bahdanau 2015: attend first, then step."""

from dataclasses import replace

from nmt.nn.attention.attention import AttentionOutput
from nmt.nn.decoders.decoder import DecoderOutput, DecoderParts, DecoderState
from nmt.nn.decoders.stepwise import DeepOutputDecoder, StepState
from nmt.nn.fused.bahdanau import FusedBahdanau
from nmt.nn.shapes import Embedded, Gates, Hidden


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
        self.slow_path_reason = self._find_slow_path_reason(parts, fused=fused)

    def _step(self, word: Gates, state: StepState) -> tuple[Hidden, AttentionOutput]:
        attended = self._attend(self.layers[0].hidden(state.recurrent[0]), state)
        gates = word + self.context_to_gates(attended.context.squeeze(1))
        return self._step_layers(gates, state), attended

    def _forward_fused(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        cell, context_weight = self.layers[0], self.context_to_gates.get_parameter("weight")
        states, contexts, weights = self._run_fused(
            FusedBahdanau, embedded, state, cell.weight_hidden, context_weight, cell.bias_hidden
        )
        vectors = self._read_out(cell.hidden(states), embedded, contexts)
        return DecoderOutput(vectors, weights, replace(state, recurrent=states[:, -1:]))
