"""The steps of an LSTM with their derivatives by hand."""

import torch
from jaxtyping import Float
from torch import Tensor

from nmt.nn.fused.tape import Tape, TapeGradient


class LSTMTape(Tape):
    """What the backward pass needs of each step of an LSTM (see `recurrent.LSTM`); time-major.

    Args:
        states: `[T+1 B 2H]`, ``[h c]`` before each step, and after the last.
        gates: `[T B 4H]`, i, f, g and o.
        shown_memory: `[T B H]`, ``tanh(c')``.
    """

    num_gates = 4

    def __init__(
        self,
        states: Float[Tensor, "T1 B H2"],
        gates: Float[Tensor, "T B H4"],
        shown_memory: Float[Tensor, "T B H"],
    ) -> None:
        self.states = states
        self.size = states.shape[2] // 2
        self.gates = gates
        self.shown_memory = shown_memory

    @classmethod
    def start(cls, num_steps: int, state: Float[Tensor, "B H2"]) -> "LSTMTape":
        """A tape for so many steps from `state`."""
        batch, double = state.shape
        states = state.new_empty(num_steps + 1, batch, double)
        states[0] = state
        return cls(
            states,
            state.new_empty(num_steps, batch, 2 * double),
            state.new_empty(num_steps, batch, double // 2),
        )

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """What to save for the backward pass, in the order of the constructor."""
        return self.states, self.gates, self.shown_memory

    def step(
        self, t: int, inputs: Float[Tensor, "B G"], hidden: Float[Tensor, "B G"]
    ) -> Float[Tensor, "B H2"]:
        """Step t, from what the input and the state add to the gates; returns the new state."""
        size, after = self.size, self.states[t + 1]
        gates = torch.add(inputs, hidden, out=self.gates[t])
        gates[:, : 2 * size].sigmoid_()
        gates[:, 2 * size : 3 * size].tanh_()
        gates[:, 3 * size :].sigmoid_()
        entry, forget, candidate, exit_ = gates.chunk(4, dim=1)
        memory = torch.mul(self.states[t, :, size:], forget, out=after[:, size:])
        memory.addcmul_(entry, candidate)
        shown = torch.tanh(memory, out=self.shown_memory[t])
        torch.mul(exit_, shown, out=after[:, :size])
        return after

    def gradient(self) -> "LSTMGradient":
        """The way back."""
        return LSTMGradient(self)


class LSTMGradient(TapeGradient):
    """Goes back through the steps of a tape.

    Args:
        tape: of the forward pass.
    """

    def __init__(self, tape: LSTMTape) -> None:
        super().__init__(len(tape.gates))
        self._tape = tape
        self._size = tape.size

    def step(
        self,
        t: int,
        d_after: Float[Tensor, "B H2"],
        d_inputs: Float[Tensor, "B G"],
        d_hidden: Float[Tensor, "B G"],
    ) -> Float[Tensor, "B H2"]:
        """Back through step t; see `TapeGradient`."""
        size, forget = self._size, self._tape.gates[t, :, self._size : 2 * self._size]
        of_memory, of_exit, of_gates = self._factors(t)
        d_shown = d_after[:, :size]
        d_memory = torch.addcmul(d_after[:, size:], d_shown, of_memory)
        d_gates = d_memory.unsqueeze(1) * of_gates
        d_inputs[:, : 3 * size] = d_gates.flatten(1)
        torch.mul(d_shown, of_exit, out=d_inputs[:, 3 * size :])
        d_hidden.copy_(d_inputs)
        d_before = torch.zeros_like(d_after)
        torch.mul(d_memory, forget, out=d_before[:, size:])
        return d_before

    def _factors_of(self, steps: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Of the memory, the exit, and the other three gates; see `TapeGradient`."""
        tape = self._tape
        entry, forget, candidate, exit_ = tape.gates[steps].chunk(4, dim=2)
        shown, before = tape.shown_memory[steps], tape.states[steps, :, self._size :]
        of_gates = (
            candidate * entry * (1 - entry),
            before * forget * (1 - forget),
            entry * (1 - candidate * candidate),
        )
        closed = shown * exit_ * (1 - exit_)
        return exit_ * (1 - shown * shown), closed, torch.stack(of_gates, dim=2)
