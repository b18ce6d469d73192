"""The steps of a GRU with their derivatives by hand: what the fused recurrences are made of."""

import torch
from jaxtyping import Float
from torch import Tensor

from nmt.nn.fused.tape import Tape, TapeGradient


class GRUTape(Tape):
    """What the backward pass needs of each step of a GRU (see `recurrent.GRU`); time-major.

    Args:
        states: `[T+1 B H]`, the state before each step, and after the last.
        gates: `[T B 2H]`, reset and update.
        candidates: `[T B H]`, n.
        hidden_candidates: `[T B H]`, ``U_n h``.
    """

    num_gates = 3

    def __init__(
        self,
        states: Float[Tensor, "T1 B H"],
        gates: Float[Tensor, "T B H2"],
        candidates: Float[Tensor, "T B H"],
        hidden_candidates: Float[Tensor, "T B H"],
    ) -> None:
        self.states = states
        self.size = states.shape[2]
        self.gates = gates
        self.candidates = candidates
        self.hidden_candidates = hidden_candidates

    @classmethod
    def start(cls, num_steps: int, state: Float[Tensor, "B H"]) -> "GRUTape":
        """A tape for so many steps from `state`."""
        batch, size = state.shape
        states = state.new_empty(num_steps + 1, batch, size)
        states[0] = state
        return cls(
            states,
            state.new_empty(num_steps, batch, 2 * size),
            state.new_empty(num_steps, batch, size),
            state.new_empty(num_steps, batch, size),
        )

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What to save for the backward pass, in the order of the constructor."""
        return self.states, self.gates, self.candidates, self.hidden_candidates

    def step(
        self, t: int, inputs: Float[Tensor, "B G"], hidden: Float[Tensor, "B G"]
    ) -> Float[Tensor, "B H"]:
        """Step t, from what the input and the state add to the gates; returns the new state."""
        size = self.size
        gate = torch.add(inputs[:, : 2 * size], hidden[:, : 2 * size], out=self.gates[t])
        gate.sigmoid_()
        self.hidden_candidates[t] = hidden[:, 2 * size :]
        candidate = torch.addcmul(
            inputs[:, 2 * size :], gate[:, :size], self.hidden_candidates[t], out=self.candidates[t]
        ).tanh_()
        return torch.lerp(candidate, self.states[t], gate[:, size:], out=self.states[t + 1])

    def gradient(self) -> "GRUGradient":
        """The way back."""
        return GRUGradient(self)


class GRUGradient(TapeGradient):
    """Goes back through the steps of a tape.

    Args:
        tape: of the forward pass.
    """

    def __init__(self, tape: GRUTape) -> None:
        super().__init__(len(tape.gates))
        self._tape = tape
        self._size = tape.size

    def step(
        self,
        t: int,
        d_after: Float[Tensor, "B H"],
        d_inputs: Float[Tensor, "B G"],
        d_hidden: Float[Tensor, "B G"],
    ) -> Float[Tensor, "B H"]:
        """Back through step t; see `TapeGradient`."""
        size, gates = self._size, self._tape.gates[t]
        of_candidate, of_reset, of_update = self._factors(t)
        d_candidate = torch.mul(d_after, of_candidate, out=d_inputs[:, 2 * size :])
        torch.mul(d_candidate, of_reset, out=d_inputs[:, :size])
        torch.mul(d_after, of_update, out=d_inputs[:, size : 2 * size])
        d_hidden[:, : 2 * size] = d_inputs[:, : 2 * size]
        torch.mul(d_candidate, gates[:, :size], out=d_hidden[:, 2 * size :])
        return d_after * gates[:, size:]

    def _factors_of(self, steps: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Of candidate, reset and update gate; see `TapeGradient`."""
        tape = self._tape
        reset, update = torch.split(tape.gates[steps], self._size, dim=-1)
        candidates = tape.candidates[steps]
        closed = 1 - update
        return (
            closed * (1 - candidates * candidates),
            tape.hidden_candidates[steps] * reset * (1 - reset),
            (tape.states[steps] - candidates) * update * closed,
        )
