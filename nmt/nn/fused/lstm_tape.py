"""The steps of an LSTM with their derivatives by hand (docs/fused.md)."""

import torch
from jaxtyping import Float
from torch import Tensor

from nmt.nn.fused.cell_tape import CellTape
from nmt.nn.shapes import Gates


class LSTMTape(CellTape):
    """The steps of a `recurrent.LSTM`; time-major.

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

    def step(self, t: int, inputs: Gates, hidden: Gates) -> Float[Tensor, "B H2"]:
        """Return the state after step t."""
        size, after = self.size, self.states[t + 1]
        # i, f, o = sigmoid(x + u), g = tanh(x_g + u_g)
        gates = torch.add(inputs, hidden, out=self.gates[t])
        gates[:, : 2 * size].sigmoid_()
        gates[:, 2 * size : 3 * size].tanh_()
        gates[:, 3 * size :].sigmoid_()
        entry, forget, candidate, exit_ = gates.chunk(4, dim=1)
        # c' = f * c + i * g
        memory = torch.mul(self.states[t, :, size:], forget, out=after[:, size:])
        memory.addcmul_(entry, candidate)
        # h' = o * tanh(c')
        squashed = torch.tanh(memory, out=self.squashed[t])
        torch.mul(exit_, squashed, out=after[:, :size])
        return after

    def backward(
        self, t: int, d_after: Float[Tensor, "B H2"], d_inputs: Gates, d_hidden: Gates
    ) -> Float[Tensor, "B H2"]:
        """Go back through step t; see `CellTape.backward`."""
        size, forget = self.size, self.gates[t, :, self.size : 2 * self.size]
        of_memory, of_exit, of_gates = self._factors(t)
        d_output = d_after[:, :size]
        # d c' += d h' * o * (1 - tanh(c')^2)
        d_memory = torch.addcmul(d_after[:, size:], d_output, of_memory)
        # d x_i = d c' * g * i * (1 - i), d x_f = d c' * c * f * (1 - f),
        # d x_g = d c' * i * (1 - g^2)
        d_gates = d_memory.unsqueeze(1) * of_gates
        d_inputs[:, : 3 * size] = d_gates.flatten(1)
        # d x_o = d h' * tanh(c') * o * (1 - o)
        torch.mul(d_output, of_exit, out=d_inputs[:, 3 * size :])
        # d u = d x
        d_hidden.copy_(d_inputs)
        # d c = d c' * f, and d h = 0 without what passes through u
        d_before = torch.zeros_like(d_after)
        torch.mul(d_memory, forget, out=d_before[:, size:])
        return d_before

    def _factors_of(self, steps: slice) -> tuple[Tensor, ...]:
        entry, forget, candidate, exit_ = self.gates[steps].chunk(4, dim=2)
        squashed, memory = self.squashed[steps], self.states[steps, :, self.size :]
        of_gates = (
            candidate * entry * (1 - entry),
            memory * forget * (1 - forget),
            entry * (1 - candidate * candidate),
        )
        of_exit = squashed * exit_ * (1 - exit_)
        return exit_ * (1 - squashed * squashed), of_exit, torch.stack(of_gates, dim=2)
