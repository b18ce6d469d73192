"""The steps of an LSTM with their derivatives by hand."""

import torch
from jaxtyping import Float
from torch import Tensor

from nmt.nn.tape import Tape, TapeGradient


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
        size = self._size = tape.size
        entry, self._forget, candidate, exit_ = tape.gates.chunk(4, dim=2)
        before = tape.states[:-1, :, size:]
        # The factors that wait for no gradient, for all steps at once.
        self._of_memory = exit_ * (1 - tape.shown_memory * tape.shown_memory)
        self._of_exit = tape.shown_memory * exit_ * (1 - exit_)
        self._of_gates = torch.stack(
            (
                candidate * entry * (1 - entry),
                before * self._forget * (1 - self._forget),
                entry * (1 - candidate * candidate),
            ),
            dim=2,
        )

    def step(
        self,
        t: int,
        d_after: Float[Tensor, "B H2"],
        d_inputs: Float[Tensor, "B G"],
        d_hidden: Float[Tensor, "B G"],
    ) -> Float[Tensor, "B H2"]:
        """Back through step t; see `TapeGradient`."""
        size = self._size
        d_shown = d_after[:, :size]
        d_memory = torch.addcmul(d_after[:, size:], d_shown, self._of_memory[t])
        d_gates = d_memory.unsqueeze(1) * self._of_gates[t]
        d_inputs[:, : 3 * size] = d_gates.flatten(1)
        torch.mul(d_shown, self._of_exit[t], out=d_inputs[:, 3 * size :])
        d_hidden.copy_(d_inputs)
        d_before = torch.zeros_like(d_after)
        torch.mul(d_memory, self._forget[t], out=d_before[:, size:])
        return d_before
