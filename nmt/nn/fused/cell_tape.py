"""A recurrent cell over T steps, with its derivatives by hand (docs/fused.md)."""

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from jaxtyping import Float
from torch import Tensor

from nmt.nn.shapes import Gates, Hidden, State

_BLOCK_SIZE: Final = 4


class CellTape(ABC):
    """The steps of a cell: `step` writes down what `backward` needs; time-major.

    Args:
        states: `[T+1 B Z]`, the state before each step, and after the last.
        saved: what else is written down of each step.
    """

    state_width: ClassVar[int]
    """Z is that times H."""
    saved_widths: ClassVar[tuple[int, ...]]
    """The last dimension of each of `saved`, in units of H."""

    def __init__(self, states: Float[Tensor, "T1 B Z"], *saved: Float[Tensor, "T B _"]) -> None:
        self.states = states
        self.size = states.shape[2] // self.state_width
        self._saved = saved
        self._block_start = len(states)
        self._block: tuple[Tensor, ...] = ()

    @classmethod
    def start(cls, num_steps: int, state: State) -> "CellTape":
        """Return an empty tape for `num_steps` steps from `state`."""
        batch, state_size = state.shape
        size = state_size // cls.state_width
        states = state.new_empty(num_steps + 1, batch, state_size)
        states[0] = state
        widths = cls.saved_widths
        return cls(states, *(state.new_empty(num_steps, batch, n * size) for n in widths))

    def tensors(self) -> tuple[Tensor, ...]:
        """Return what to save for the backward pass, in the order of the constructor."""
        return self.states, *self._saved

    @abstractmethod
    def step(self, t: int, inputs: Gates, hidden: Gates) -> State:
        """Return the state after step t.

        Args:
            t: the step.
            inputs: x, what the inputs add to the gates.
            hidden: u, what the hidden state adds to the gates.
        """

    @abstractmethod
    def backward(self, t: int, d_after: State, d_inputs: Gates, d_hidden: Gates) -> State:
        """Go back through step t; the last step comes first.

        Args:
            t: the step.
            d_after: gradient of the state after it.
            d_inputs: is filled with the gradient of x.
            d_hidden: is filled with the gradient of u.

        Returns:
            The gradient of the state before it without what passes through u; a new tensor.
        """

    @abstractmethod
    def _factors_of(self, steps: slice) -> tuple[Tensor, ...]:
        """Return the factors of the gradients of some steps that depend on the tape only."""

    def _factors(self, t: int) -> tuple[Tensor, ...]:
        """Return the factors of step t; they are computed for a block of steps at once.

        Some at once is faster than one by one; all at once would be as large as the tape.
        """
        if t < self._block_start:
            self._block = ()
            self._block_start = max(0, t + 1 - _BLOCK_SIZE)
            self._block = self._factors_of(slice(self._block_start, t + 1))
        return tuple(factor[t - self._block_start] for factor in self._block)

    def hidden(self, t: int) -> Hidden:
        """Return what the gates read of the state before step t."""
        return self.states[t, :, : self.size]
