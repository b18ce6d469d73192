"""Decoders: how the recurrent cell, the attention and the output are wired."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.alignment import SoftmaxAlignment
from nmt.nn.attention.attention import Attention, Memory
from nmt.nn.attention.score import AdditiveScore
from nmt.nn.dropout import Dropout
from nmt.nn.fused_bahdanau import FusedWeights, fused_bahdanau
from nmt.nn.initialization import initialize_linear
from nmt.nn.recurrent import GRU, Cell


@dataclass(frozen=True)
class DecoderState:
    """All that the next step needs; batch is dimension 0 of every tensor in it.

    Attributes:
        recurrent: `[B L Z]`, the state of each layer.
        fed: `[B F]`, the attentional vector that is fed back (input feeding), or None.
        memory: what the attention looks at.
    """

    recurrent: Float[Tensor, "B L Z"]
    fed: Float[Tensor, "B F"] | None
    memory: Memory


@dataclass(frozen=True)
class DecoderOutput:
    """What came out for each target position.

    Attributes:
        logits: `[B T V]`, before the softmax.
        weights: `[B T S]`, where the attention looked.
    """

    logits: Float[Tensor, "B T V"]
    weights: Float[Tensor, "B T S"]


@dataclass(frozen=True)
class Decoded:
    """What a decoder gives for each target position, and where it stopped.

    Attributes:
        vectors: `[B T O]`, what the projection to the vocabulary reads.
        weights: `[B T S]`, where the attention looked.
        state: from which the next call goes on.
    """

    vectors: Float[Tensor, "B T O"]
    weights: Float[Tensor, "B T S"]
    state: DecoderState


class Decoder(nn.Module, ABC):
    """Writes the target, any number of words at a time: T calls of one word = one call of T.

    Args:
        make_cell: makes a cell from its input size; called for each layer.
        attention: where it looks.
        input_size: E, numbers in an embedded word.
        value_size: H of the memory.
        output_size: O, numbers in the vectors that come out.
        num_layers: L.
        dropout: on the states between layers.
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
    ) -> None:
        super().__init__()
        first = make_cell(self._first_input_size(input_size, output_size))
        upper = [make_cell(first.hidden_size) for _ in range(num_layers - 1)]
        self.cells = nn.ModuleList([first, *upper])
        self.attention = attention
        self.dropout = Dropout(dropout)
        self.hidden_size = first.hidden_size
        self.state_size = first.state_size

    @staticmethod
    def _first_input_size(input_size: int, output_size: int) -> int:
        return input_size

    def start(self, recurrent: Float[Tensor, "B L Z"], memory: Memory) -> DecoderState:
        """The state before the first word."""
        return DecoderState(recurrent, None, memory)

    @abstractmethod
    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        """Go on from `state` through T words."""

    def _step(
        self, projected: Float[Tensor, "B G"], recurrent: list[Tensor]
    ) -> tuple[Float[Tensor, "B H"], list[Tensor]]:
        """One step of the stack: what its top shows, and the states of all layers."""
        after = [self.cells[0](projected, recurrent[0])]
        output = _output(self.cells[0], after[0])
        for cell, before in zip(self.cells[1:], recurrent[1:], strict=True):
            assert isinstance(cell, Cell)
            after.append(cell(cell.project(self.dropout(output)), before))
            output = cell.output(after[-1])
        return output, after


def _output(cell: nn.Module, state: Tensor) -> Tensor:
    assert isinstance(cell, Cell)
    return cell.output(state)


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
            GRU, additive score, softmax); False takes the plain loop.
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
        first = self.cells[0]
        assert isinstance(first, Cell)
        self.context_to_gates = nn.Linear(value_size, first.gate_size, bias=False)
        self.state_to_output = nn.Linear(self.hidden_size, output_size)
        self.word_to_output = nn.Linear(input_size, output_size, bias=False)
        self.context_to_output = nn.Linear(value_size, output_size, bias=False)
        for linear in (
            self.context_to_gates,
            self.state_to_output,
            self.word_to_output,
            self.context_to_output,
        ):
            initialize_linear(linear)
        self.fused = (
            fused
            and num_layers == 1
            and type(first) is GRU
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
        first = self.cells[0]
        assert isinstance(first, Cell)
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
        cell, score, memory = self.cells[0], self.attention.score, state.memory
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


class LuongDecoder(Decoder):
    """Attend with the new state; the attentional vector is the output, and may be fed back.

    ``h_t = cell([y_{t-1}; h~_{t-1}], h_{t-1})``, ``c_t = attend(h_t)``,
    ``h~_t = tanh(W_c [c_t; h_t])`` (Luong 2015, eq. 5 and section 3.3).

    Args:
        make_cell: makes a cell from its input size; called for each layer.
        attention: where it looks.
        input_size: E.
        value_size: H of the memory.
        output_size: O, numbers in the attentional vector.
        num_layers: L; the top layer attends.
        dropout: on the states between layers.
        input_feeding: feed the attentional vector to the next step. Without it the steps do not
            wait for the attention, and all words are attended at once.
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
        input_feeding: bool = True,
    ) -> None:
        super().__init__(
            make_cell, attention, input_size, value_size, output_size, num_layers, dropout
        )
        first = self.cells[0]
        assert isinstance(first, Cell)
        self.fed_size = output_size
        self.fed_to_gates: nn.Linear | None = None
        if input_feeding:
            self.fed_to_gates = nn.Linear(output_size, first.gate_size, bias=False)
            initialize_linear(self.fed_to_gates)
        self.combine = nn.Linear(value_size + self.hidden_size, output_size)
        initialize_linear(self.combine)

    def start(self, recurrent: Float[Tensor, "B L Z"], memory: Memory) -> DecoderState:
        """The state before the first word; a vector of zeros is fed to it."""
        fed = None
        if self.fed_to_gates is not None:
            fed = recurrent.new_zeros(len(recurrent), self.fed_size)
        return DecoderState(recurrent, fed, memory)

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        """Go on from `state` through T words."""
        if self.fed_to_gates is None:
            return self._at_once(embedded, state)
        return self._with_feeding(self.fed_to_gates, embedded, state)

    def _at_once(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        inputs, final = embedded, []
        for layer, cell in enumerate(self.cells):
            assert isinstance(cell, Cell)
            inputs = inputs if layer == 0 else self.dropout(inputs)
            states = cell.unroll(cell.project(inputs), state.recurrent[:, layer])
            inputs = cell.output(states)
            final.append(states[:, -1])
        vectors, weights = self._attend(inputs, state.memory)
        return Decoded(
            vectors, weights, DecoderState(torch.stack(final, dim=1), None, state.memory)
        )

    def _with_feeding(
        self, fed_to_gates: nn.Linear, embedded: Float[Tensor, "B T E"], state: DecoderState
    ) -> Decoded:
        first = self.cells[0]
        assert isinstance(first, Cell) and state.fed is not None
        projected = first.project(embedded)
        recurrent, fed = list(state.recurrent.unbind(1)), state.fed
        vectors, weights = [], []
        for step in range(embedded.shape[1]):
            gates = projected[:, step] + fed_to_gates(fed)
            output, recurrent = self._step(gates, recurrent)
            vector, weight = self._attend(output.unsqueeze(1), state.memory)
            fed = vector.squeeze(1)
            vectors.append(fed)
            weights.append(weight.squeeze(1))
        after = DecoderState(torch.stack(recurrent, dim=1), fed, state.memory)
        return Decoded(torch.stack(vectors, dim=1), torch.stack(weights, dim=1), after)

    def _attend(
        self, outputs: Float[Tensor, "B T H"], memory: Memory
    ) -> tuple[Float[Tensor, "B T O"], Float[Tensor, "B T S"]]:
        """The attentional vectors and the weights."""
        attended = self.attention(outputs, memory)
        together = torch.cat([attended.context, outputs], dim=-1)
        return torch.tanh(self.combine(together)), attended.weights


DECODERS: Final[dict[str, type[Decoder]]] = {
    "bahdanau": BahdanauDecoder,
    "luong": LuongDecoder,
}
