"""The decoder of Bahdanau 2015: attend first, then step."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.alignment import SoftmaxAlignment
from nmt.nn.attention.attention import Attention
from nmt.nn.attention.score import AdditiveScore
from nmt.nn.decoder import Decoded, Decoder, DecoderState
from nmt.nn.fused_bahdanau import FusedWeights, fused_bahdanau
from nmt.nn.initialization import initialize_linear
from nmt.nn.recurrent import GRU, Cell


class BahdanauDecoder(Decoder):
    """Attend with the previous state; the context enters the cell; deep output.

    ``c_t = attend(s_{t-1})``, ``s_t = cell([y_{t-1}; c_t], s_{t-1})``,
    ``o_t = tanh(W_s s_t + W_y y_{t-1} + W_c c_t)`` (Bahdanau 2015, A.2.2; deep output: Pascanu
    2014). The paper reads the output from ``s_{t-1}`` through maxout; the new state and tanh are
    what dl4mt and Nematus settled on. With several layers the first one attends (Wu 2016), and
    ``s_t`` in the output is the top layer's.

    Args:
        make_cell: makes a cell from its input size; called for each layer.
        attention: where it looks.
        input_size: E.
        value_size: H of the memory.
        output_size: O.
        num_layers: L.
        dropout: on the states between layers.
        fused: run all words as one autograd node where there is one for the parts (one layer of
            fused GRU, additive score, softmax); False takes the plain loop.
    """

    def __init__(
        self,
        make_cell: Callable[[int], Cell],
        attention: Attention,
        input_size: int,
        value_size: int,
        output_size: int,
        num_layers: int,
        dropout: float,
        *,
        fused: bool = True,
    ) -> None:
        super().__init__(
            make_cell, attention, input_size, value_size, output_size, num_layers, dropout
        )
        first = self.layers[0]
        self.context_to_gates = first.gates_from(value_size)
        self.state_to_output = nn.Linear(self.hidden_size, output_size)
        self.word_to_output = nn.Linear(input_size, output_size, bias=False)
        self.context_to_output = nn.Linear(value_size, output_size, bias=False)
        for linear in (self.state_to_output, self.word_to_output, self.context_to_output):
            initialize_linear(linear)
        self.fused = (
            fused
            and num_layers == 1
            and type(first) is GRU
            and first.fused
            and type(attention.score) is AdditiveScore
            and type(attention.alignment) is SoftmaxAlignment
        )

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        """Go on from `state` through T words."""
        # One word at a time there is nothing to fuse, and the weights would be merged each time.
        loop = self._fused_loop if self.fused and embedded.shape[1] > 1 else self._plain_loop
        outputs, contexts, weights, recurrent = loop(embedded, state)
        vectors = torch.tanh(
            self.state_to_output(outputs)
            + self.word_to_output(embedded)
            + self.context_to_output(contexts)
        )
        return Decoded(vectors, weights, DecoderState(recurrent, None, state.memory))

    def _plain_loop(
        self, embedded: Float[Tensor, "B T E"], state: DecoderState
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the top shows `[B T H]`, contexts `[B T C]`, weights `[B T S]`, state `[B L Z]`."""
        first = self.layers[0]
        projected = first.project(embedded)
        recurrent = list(state.recurrent.unbind(1))
        outputs, contexts, weights = [], [], []
        for step in range(embedded.shape[1]):
            query = first.output(recurrent[0]).unsqueeze(1)
            attended = self.attention(query, state.memory)
            context = attended.context.squeeze(1)
            gates = projected[:, step] + self.context_to_gates(context)
            output, recurrent = self._step(gates, recurrent)
            outputs.append(output)
            contexts.append(context)
            weights.append(attended.weights.squeeze(1))
        stacked = (torch.stack(steps, dim=1) for steps in (outputs, contexts, weights, recurrent))
        return tuple(stacked)  # type: ignore[return-value]

    def _fused_loop(
        self, embedded: Float[Tensor, "B T E"], state: DecoderState
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The same for one layer of GRU with additive attention and softmax."""
        cell, score, memory = self.layers[0], self.attention.score, state.memory
        assert isinstance(cell, GRU) and isinstance(score, AdditiveScore)
        weights = FusedWeights(
            query=score.query_projection.weight,
            direction=score.direction.weight.squeeze(0),
            context=self.context_to_gates.weight,
            hidden=cell.weight_hidden,
            bias=cell.bias_hidden,
        )
        states, contexts, attended = fused_bahdanau(
            cell.project(embedded),
            state.recurrent[:, 0],
            memory.keys,
            memory.values,
            memory.mask,
            weights,
        )
        return states, contexts, attended, states[:, -1:]
