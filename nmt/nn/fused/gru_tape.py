"""The steps of a GRU with their derivatives by hand (docs/fused.md)."""

import torch
from jaxtyping import Float
from torch import Tensor

from nmt.nn.fused.cell_tape import CellTape


class GRUTape(CellTape):
    """The steps of a `recurrent.GRU`; time-major.

    Args:
        states: `[T+1 B H]`, the state before each step, and after the last.
        gates: `[T B 2H]`, r and z.
        candidates: `[T B H]`, n.
        hidden_candidates: `[T B H]`, ``u_n``.
    """

    def __init__(
        self,
        states: Float[Tensor, "T1 B H"],
        gates: Float[Tensor, "T B H2"],
        candidates: Float[Tensor, "T B H"],
        hidden_candidates: Float[Tensor, "T B H"],
    ) -> None:
        super().__init__(states, states.shape[2])
        self.gates = gates
        self.candidates = candidates
        self.hidden_candidates = hidden_candidates

    @classmethod
    def start(cls, num_steps: int, state: Float[Tensor, "B H"]) -> "GRUTape":
        """Return an empty tape for `num_steps` steps from `state`."""
        batch, size = state.shape
        states = state.new_empty(num_steps + 1, batch, size)
        states[0] = state
        gates = state.new_empty(num_steps, batch, 2 * size)
        candidates = state.new_empty(num_steps, batch, size)
        return cls(states, gates, candidates, torch.empty_like(candidates))

    def tensors(self) -> tuple[Tensor, ...]:
        """Return what to save for the backward pass, in the order of the constructor."""
        return self.states, self.gates, self.candidates, self.hidden_candidates

    def step(
        self, t: int, inputs: Float[Tensor, "B G"], hidden: Float[Tensor, "B G"]
    ) -> Float[Tensor, "B H"]:
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

    def backward(
        self,
        t: int,
        d_after: Float[Tensor, "B H"],
        d_inputs: Float[Tensor, "B G"],
        d_hidden: Float[Tensor, "B G"],
    ) -> Float[Tensor, "B H"]:
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
