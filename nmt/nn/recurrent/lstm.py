"""Long short-term memory."""

import torch
from jaxtyping import Float
from torch import Tensor

from nmt.nn.recurrent.cell import Cell, CellTape
from nmt.nn.shapes import Gates, Hidden, State


class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers 2000).

    ``i, f, o = sigmoid(x + U h)``, ``g = tanh(x_g + U_g h)``, ``c' = f * c + i * g``,
    ``h' = o * tanh(c')``. The state is ``[h c]``. The bias of the forget gate starts at 1, so that
    the memory is kept until the cell has learned what to forget (Jozefowicz 2015).

    Args:
        input_size: size of an input.
        hidden_size: H.
        fused: run whole sequences as one autograd node; false: always run the plain loop.
    """

    gate_names = ("input_gate", "forget_gate", "candidate", "output_gate")
    kept_gate = "forget_gate"

    def __init__(self, input_size: int, hidden_size: int, *, fused: bool = True) -> None:
        super().__init__(input_size, hidden_size, num_gates=4, state_size=2 * hidden_size)
        if not fused:
            self.drop_fast_path("fused: false of the cell")
        with torch.no_grad():
            self.bias_input[hidden_size : 2 * hidden_size] = 1.0

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """Return the next state."""
        hidden, memory = state.chunk(2, dim=-1)
        input_gate, forget, candidate, output_gate = self._gates(projected, hidden, dropout_mask)
        memory = forget * memory + input_gate * candidate
        return torch.cat([output_gate * self.squash(memory), memory], dim=-1)

    def gate_values(
        self, projected: Gates, state: State, dropout_mask: Hidden | None = None
    ) -> tuple[Hidden, Hidden, Hidden, Hidden]:
        """Return i, f, g and o."""
        return self._gates(projected, self.hidden(state), dropout_mask)

    def _gates(
        self, projected: Gates, hidden: Hidden, dropout_mask: Hidden | None
    ) -> tuple[Hidden, Hidden, Hidden, Hidden]:
        summed = projected + self.project_hidden(hidden, dropout_mask)
        input_gate, forget, candidate, output_gate = summed.chunk(4, dim=-1)
        opened = torch.sigmoid(input_gate), torch.sigmoid(forget)
        return *opened, torch.tanh(candidate), torch.sigmoid(output_gate)

    def squash(self, memory: Hidden) -> Hidden:
        """Return the squashed memory that the output gate multiplies."""
        return torch.tanh(memory)

    def hidden(self, state: Float[Tensor, "*N Z"]) -> Float[Tensor, "*N H"]:
        """Return h, the first half of the state."""
        return state[..., : self.hidden_size]


class LSTMTape(CellTape):
    """`LSTM` steps with hand-written derivatives (docs/fused.md); time-major.

    Args:
        states: `[T+1 B 2H]`, ``[h c]`` before each step, and after the last.
        gates: `[T B 4H]`, i, f, g and o.
        squashed: `[T B H]`, ``tanh(c')``.
    """

    state_width = 2
    saved_widths = (4, 1)

    def __init__(self, states: Tensor, gates: Tensor, squashed: Tensor) -> None:
        super().__init__(states, gates, squashed)
        self.gates, self.squashed = gates, squashed

    def step(self, t: int, inputs: Gates, hidden: Gates) -> State:
        """Return the state after step t."""
        size, after = self.size, self.states[t + 1]
        # i, f, o = sigmoid(x + u), g = tanh(x_g + u_g)
        gates = torch.add(inputs, hidden, out=self.gates[t])
        gates[:, : 2 * size].sigmoid_()
        gates[:, 2 * size : 3 * size].tanh_()
        gates[:, 3 * size :].sigmoid_()
        input_gate, forget, candidate, output_gate = gates.chunk(4, dim=1)
        # c' = f * c + i * g
        memory = torch.mul(self.states[t, :, size:], forget, out=after[:, size:])
        memory.addcmul_(input_gate, candidate)
        # h' = o * tanh(c')
        squashed = torch.tanh(memory, out=self.squashed[t])
        torch.mul(output_gate, squashed, out=after[:, :size])
        return after

    def backward(self, t: int, d_after: State, d_inputs: Gates, d_hidden: Gates) -> State:
        """Backpropagate through step t; see `CellTape.backward`."""
        size, forget = self.size, self.gates[t, :, self.size : 2 * self.size]
        of_memory, of_output, of_gates = self._factors(t)
        d_output = d_after[:, :size]
        # d c' += d h' * o * (1 - tanh(c')^2)
        d_memory = torch.addcmul(d_after[:, size:], d_output, of_memory)
        # d x_i = d c' * g * i * (1 - i), d x_f = d c' * c * f * (1 - f),
        # d x_g = d c' * i * (1 - g^2)
        d_gates = d_memory.unsqueeze(1) * of_gates
        d_inputs[:, : 3 * size] = d_gates.flatten(1)
        # d x_o = d h' * tanh(c') * o * (1 - o)
        torch.mul(d_output, of_output, out=d_inputs[:, 3 * size :])
        # d u = d x
        d_hidden.copy_(d_inputs)
        # d c = d c' * f; d h = 0, except through u
        d_before = torch.zeros_like(d_after)
        torch.mul(d_memory, forget, out=d_before[:, size:])
        return d_before

    def _factors_of(self, steps: slice) -> tuple[Tensor, ...]:
        input_gate, forget, candidate, output_gate = self.gates[steps].chunk(4, dim=2)
        squashed, memory = self.squashed[steps], self.states[steps, :, self.size :]
        of_gates = (
            candidate * input_gate * (1 - input_gate),
            memory * forget * (1 - forget),
            input_gate * (1 - candidate * candidate),
        )
        of_output = squashed * output_gate * (1 - output_gate)
        return output_gate * (1 - squashed * squashed), of_output, torch.stack(of_gates, dim=2)


LSTM.fast_path = LSTMTape  # set here: the tape is defined after the plain code
