"""The steps of a GRU with their derivatives by hand (docs/fused.md)."""

import torch
from torch import Tensor

from nmt.nn.fused.cell_tape import CellTape
from nmt.nn.shapes import Gates, Hidden


class GRUTape(CellTape):
    """The steps of a `recurrent.GRU`; time-major.

    Args:
        states: `[T+1 B H]`, the state before each step, and after the last.
        gates: `[T B 2H]`, r and z.
        candidates: `[T B H]`, n.
        hidden: `[T B H]`, ``u_n``.
    """

    state_width = 1
    saved_widths = (2, 1, 1)

    def __init__(self, states: Tensor, gates: Tensor, candidates: Tensor, hidden: Tensor) -> None:
        super().__init__(states, gates, candidates, hidden)
        self.gates, self.candidates, self.hidden_candidates = gates, candidates, hidden

    def step(self, t: int, inputs: Gates, hidden: Gates) -> Hidden:
        """Return the state after step t."""
        size = self.size
        # r, z = sigmoid(x + u)
        gate = torch.add(inputs[:, : 2 * size], hidden[:, : 2 * size], out=self.gates[t])
        gate.sigmoid_()
        # n = tanh(x_n + r * u_n)
        self.hidden_candidates[t] = hidden[:, 2 * size :]
        candidate = torch.addcmul(
            inputs[:, 2 * size :], gate[:, :size], self.hidden_candidates[t], out=self.candidates[t]
        ).tanh_()
        # h' = (1 - z) * n + z * h
        return torch.lerp(candidate, self.states[t], gate[:, size:], out=self.states[t + 1])

    def backward(self, t: int, d_after: Hidden, d_inputs: Gates, d_hidden: Gates) -> Hidden:
        """Go back through step t; see `CellTape.backward`."""
        size, gates = self.size, self.gates[t]
        of_candidate, of_reset, of_update = self._factors(t)
        # d x_n = d h' * (1 - z) * (1 - n^2)
        d_candidate = torch.mul(d_after, of_candidate, out=d_inputs[:, 2 * size :])
        # d x_r = d x_n * u_n * r * (1 - r)
        torch.mul(d_candidate, of_reset, out=d_inputs[:, :size])
        # d x_z = d h' * (h - n) * z * (1 - z)
        torch.mul(d_after, of_update, out=d_inputs[:, size : 2 * size])
        # d u_r = d x_r, d u_z = d x_z
        d_hidden[:, : 2 * size] = d_inputs[:, : 2 * size]
        # d u_n = d x_n * r
        torch.mul(d_candidate, gates[:, :size], out=d_hidden[:, 2 * size :])
        # d h = d h' * z, without what passes through u
        return d_after * gates[:, size:]

    def _factors_of(self, steps: slice) -> tuple[Tensor, ...]:
        reset, update = torch.split(self.gates[steps], self.size, dim=-1)
        candidates = self.candidates[steps]
        closed = 1 - update
        return (
            closed * (1 - candidates * candidates),
            self.hidden_candidates[steps] * reset * (1 - reset),
            (self.states[steps] - candidates) * update * closed,
        )
