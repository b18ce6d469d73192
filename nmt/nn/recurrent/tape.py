"""The interface of cell tapes: the steps of a cell with hand-written derivatives."""

from abc import ABC, abstractmethod
from typing import ClassVar, Final, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from nmt.nn.shapes import Gates, State

_BLOCK_SIZE: Final = 4


@runtime_checkable
class StartsTape(Protocol):
    """The class of a tape, or an object that starts a tape."""

    def start(self, num_steps: int, state: State) -> "CellTape":
        """Return an empty tape for `num_steps` steps from `state`."""


class CellTape(ABC):
    """Cell steps with hand-written derivatives: `step` saves what `backward` needs.

    Its tensors are time-major (docs/fused.md).

    Args:
        states: `[T+1 B Z]`, the state before each step, and after the last.
        saved: further tensors that each step saves.

    Attributes:
        state_width: Z in units of H.
        saved_widths: the last dimension of each of `saved`, in units of H.
    """

    state_width: ClassVar[int]
    saved_widths: ClassVar[tuple[int, ...]]

    def __init__(self, states: Float[Tensor, "T1 B Z"], *saved: Float[Tensor, "T B _"]) -> None:
        self.states = states
        self.size = states.shape[2] // self.state_width
        self.hidden = states[..., : self.size]  # what gates and queries read of the states
        self.tensors = states, *saved  # what to save for the backward pass
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
        """Backpropagate through step t; call it from the last step to the first.

        Args:
            t: the step.
            d_after: gradient of the state after the step.
            d_inputs: filled with the gradient of x.
            d_hidden: filled with the gradient of u.

        Returns:
            The gradient of the state before the step, except through u; a new tensor.
        """

    @abstractmethod
    def _factors_of(self, steps: slice) -> tuple[Tensor, ...]:
        """Return the gradient factors of some steps that only depend on the tape."""

    def _factors(self, t: int) -> tuple[Tensor, ...]:
        """Return the factors of step t, which are computed in blocks of steps.

        A block at once is faster than single steps. All steps at once would take as much memory as
        the tape.
        """
        if t < self._block_start:
            self._block = ()
            self._block_start = max(0, t + 1 - _BLOCK_SIZE)
            self._block = self._factors_of(slice(self._block_start, t + 1))
        return tuple(factor[t - self._block_start] for factor in self._block)
