"""The decoder of Bahdanau 2015: attend first, then step."""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.additive import AdditiveScore
from nmt.nn.attention.attention import AnyPast, Attended, Attention, Memory
from nmt.nn.attention.dense import SoftmaxAlignment
from nmt.nn.decoder import Decoded, DecoderParts, DecoderState
from nmt.nn.deep_output import DeepOutputDecoder
from nmt.nn.fused_bahdanau import FusedWeights, fused_bahdanau
from nmt.nn.recurrent import GRU


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
            fused GRU, additive score, softmax); False takes the plain loop.
    """

    def __init__(self, parts: DecoderParts, *, fused: bool = True) -> None:
        super().__init__(parts)
        first, attention = self.layers[0], parts.attention
        self.context_to_gates = first.gates_from(parts.value_size)
        self.fused = (
            fused
            and parts.layers.number == 1
            and parts.layers.recurrent_dropout == 0.0
            and type(first) is GRU
            and first.fused
            and type(attention) is Attention
            and type(attention.score) is AdditiveScore
            and type(attention.alignment) is SoftmaxAlignment
            and attention.alignment.temperature == 1.0
        )

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        """Go on from `state` through T words."""
        # One word at a time there is nothing to fuse, and the weights would be merged each time.
        if not self.fused or embedded.shape[1] == 1:
            return super().forward(embedded, state)
        outputs, contexts, weights = self._fused_loop(embedded, state)
        after = replace(state, recurrent=outputs[:, -1:])
        return Decoded(self._deep_output(outputs, embedded, contexts), weights, after)

    def _attend_and_step(
        self,
        projected: Float[Tensor, "B G"],
        recurrent: list[Tensor],
        keep: list[Tensor | None],
        state: DecoderState,
        past: AnyPast,
    ) -> tuple[Float[Tensor, "B H"], Attended, list[Tensor]]:
        """One step: what the top shows, what was seen, and the states of all layers."""
        query = self.layers[0].output(recurrent[0]).unsqueeze(1)
        attended: Attended = self.attention(query, state.memory, past)
        gates = projected + self.context_to_gates(attended.context.squeeze(1))
        output, recurrent = self._step(gates, recurrent, keep)
        return output, attended, recurrent

    def _fused_loop(
        self, embedded: Float[Tensor, "B T E"], state: DecoderState
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the top shows `[B T H]`, contexts `[B T C]`, weights `[B T S]`."""
        cell, attention, memory = self.layers[0], self.attention, state.memory
        assert isinstance(cell, GRU) and isinstance(attention, Attention)
        score, to_gates = attention.score, self.context_to_gates
        assert isinstance(score, AdditiveScore) and isinstance(memory, Memory)
        assert isinstance(to_gates, nn.Linear)
        weights = FusedWeights(
            query=score.query_projection.weight,
            direction=score.vector(),
            context=to_gates.weight,
            hidden=cell.weight_hidden,
            bias=cell.bias_hidden,
        )
        return fused_bahdanau(
            cell.project(embedded),
            state.recurrent[:, 0],
            memory.keys,
            memory.values,
            memory.mask,
            weights,
        )
