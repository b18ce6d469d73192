"""Recurrent cells behind one face, and how to run one over a sequence.

A cell splits its work in two: `project` holds what depends on the inputs only and is computed for
all steps at once; `forward` is one step. Its state is one tensor `[B Z]`, whatever is in it.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nmt.nn.fused.cell_tape import CellTape
from nmt.nn.fused.gru_tape import GRUTape
from nmt.nn.fused.lstm_tape import LSTMTape
from nmt.nn.fused.unroll import fused_unroll
from nmt.nn.layers.initialization import initialize_hidden_gates, initialize_input_gates
from nmt.nn.layers.int8 import linear
from nmt.nn.shapes import Gates, Hidden, State


class Cell(nn.Module, ABC):
    """One recurrent layer in one direction.

    Args:
        input_size: I, numbers in one input.
        hidden_size: H, numbers in one output.
        num_gates: blocks of H rows in the weights; G is that times H.
        state_size: Z, numbers in one state.
    """

    tape: type[CellTape] | None = None
    """Its steps by hand, for whole sequences as one autograd node; None: the plain loop."""

    def __init__(self, input_size: int, hidden_size: int, num_gates: int, state_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.num_gates = num_gates
        self.gate_size = num_gates * hidden_size
        self.state_size = state_size
        self.weight_input = nn.Parameter(torch.empty(self.gate_size, input_size))
        self.weight_hidden = nn.Parameter(torch.empty(self.gate_size, hidden_size))
        self.bias_input = nn.Parameter(torch.zeros(self.gate_size))
        self.bias_hidden = nn.Parameter(torch.zeros(self.gate_size))
        initialize_input_gates(self.weight_input, num_gates)
        initialize_hidden_gates(self.weight_hidden, num_gates)

    @property
    def slow_path_reason(self) -> str | None:
        """Why a decoder with this cell has no fast path; None: it has one."""
        return f"the cell {type(self).__name__}" if self.tape is None else None

    def project(self, inputs: Float[Tensor, "*N I"]) -> Float[Tensor, "*N G"]:
        """What the inputs add to the gates."""
        return linear(inputs, self.weight_input, self.bias_input)

    def project_hidden(self, hidden: Hidden, dropout_mask: Hidden | None) -> Gates:
        """What the state adds to the gates."""
        dropped = hidden if dropout_mask is None else hidden * dropout_mask
        return linear(dropped, self.weight_hidden, self.bias_hidden)

    def gates_from(self, size: int) -> nn.Module:
        """A layer `[*N size]` to `[*N G]` by which one more input adds to the gates."""
        return self._linear_gates(size)

    def _linear_gates(self, size: int) -> nn.Linear:
        layer = nn.Linear(size, self.gate_size, bias=False)
        initialize_input_gates(layer.weight, self.num_gates)
        return layer

    @abstractmethod
    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """One step: the next state.

        Args:
            projected: what the inputs add to the gates.
            state: before the step.
            dropout_mask: recurrent dropout; multiplied with the state that the gates read.
        """

    def hidden(self, state: Float[Tensor, "*N Z"]) -> Float[Tensor, "*N H"]:
        """What the layer shows of its state."""
        return state

    def unroll(
        self,
        projected: Float[Tensor, "B T G"],
        state: State,
        mask: Bool[Tensor, "B T"] | None = None,
        dropout_mask: Hidden | None = None,
    ) -> Float[Tensor, "B T Z"]:
        """Return the states after each step; a masked step leaves the state as it was."""
        if torch.compiler.is_exporting():
            if projected.shape[1] != 1:
                return _unroll_in_graph(self, projected, state, mask, dropout_mask)
        elif self.tape is not None and dropout_mask is None:
            weight, bias = self.weight_hidden, self.bias_hidden
            return fused_unroll(self.tape, projected, state, weight, bias, mask)
        states = []
        for step in range(projected.shape[1]):
            after = self(projected[:, step], state, dropout_mask)
            state = after if mask is None else torch.where(mask[:, step, None], after, state)
            states.append(state)
        return torch.stack(states, dim=1)


def _unroll_in_graph(
    cell: Cell,
    projected: Float[Tensor, "B T G"],
    state: Float[Tensor, "B Z"],
    mask: Bool[Tensor, "B T"] | None,
    dropout_mask: Float[Tensor, "B H"] | None,
) -> Float[Tensor, "B T Z"]:
    """Run a cell as one loop of a graph, which serves any number of steps."""
    from torch._higher_order_ops.scan import scan  # for the exporter only

    if mask is None:
        mask = projected.new_ones(projected.shape[:2], dtype=torch.bool)

    def step(before: Tensor, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        gates, is_real = inputs
        after = torch.where(is_real.unsqueeze(1), cell(gates, before, dropout_mask), before)
        return after, after.clone()

    states: Tensor
    _, states = scan(step, state, (projected.transpose(0, 1), mask.transpose(0, 1)))
    return states.transpose(0, 1)


class GRU(Cell):
    """Gated recurrent unit (Cho 2014), in the form of cuDNN and PyTorch.

    ``r = sigmoid(x_r + U_r h)``, ``z = sigmoid(x_z + U_z h)``, ``n = tanh(x_n + r * U_n h)``,
    ``h' = (1 - z) * n + z * h``. The reset gate acts after the product (Cho 2014 has it before),
    so that one product with the state serves all three gates.

    Args:
        input_size: numbers in one input.
        hidden_size: H.
        fused: run whole sequences as one autograd node; False takes the plain loop.
    """

    def __init__(self, input_size: int, hidden_size: int, *, fused: bool = True) -> None:
        super().__init__(input_size, hidden_size, num_gates=3, state_size=hidden_size)
        self.tape = GRUTape if fused and type(self).forward is GRU.forward else None

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """One step: the next state."""
        # Under autocast a first state of zeros is float32 and the gates are not.
        state = state.to(projected.dtype)
        hidden = self.project_hidden(state, dropout_mask)
        input_r, input_z, input_n = projected.chunk(3, dim=-1)
        hidden_r, hidden_z, hidden_n = hidden.chunk(3, dim=-1)
        reset = torch.sigmoid(input_r + hidden_r)
        update = torch.sigmoid(input_z + hidden_z)
        candidate = torch.tanh(input_n + reset * hidden_n)
        return torch.lerp(candidate, state, update)


class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers 2000).

    ``i, f, o = sigmoid(x + U h)``, ``g = tanh(x_g + U_g h)``, ``c' = f * c + i * g``,
    ``h' = o * tanh(c')``. The state is ``[h c]``. The forget gate starts at a bias of 1, so that
    the memory is kept until the cell has learnt what to forget (Jozefowicz 2015).

    Args:
        input_size: numbers in one input.
        hidden_size: H.
        fused: run whole sequences as one autograd node; False takes the plain loop.
    """

    def __init__(self, input_size: int, hidden_size: int, *, fused: bool = True) -> None:
        super().__init__(input_size, hidden_size, num_gates=4, state_size=2 * hidden_size)
        self.tape = LSTMTape if fused and type(self).forward is LSTM.forward else None
        with torch.no_grad():
            self.bias_input[hidden_size : 2 * hidden_size] = 1.0

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """One step: the next state."""
        hidden, memory = state.chunk(2, dim=-1)
        gates = projected + self.project_hidden(hidden, dropout_mask)
        entry, forget, candidate, exit_ = gates.chunk(4, dim=-1)
        memory = torch.sigmoid(forget) * memory + torch.sigmoid(entry) * torch.tanh(candidate)
        return torch.cat([torch.sigmoid(exit_) * self.squash(memory), memory], dim=-1)

    def squash(self, memory: Hidden) -> Hidden:
        """Return the memory as it goes to the output gate."""
        return torch.tanh(memory)

    def hidden(self, state: Float[Tensor, "*N Z"]) -> Float[Tensor, "*N H"]:
        """The half of the state that is shown."""
        return state[..., : self.hidden_size]
