"""What the fused recurrences write down going forward, and read going back."""

from abc import ABC, abstractmethod
from typing import ClassVar, Final

from jaxtyping import Float
from torch import Tensor

_STEPS_AT_ONCE: Final = 4


class TapeGradient(ABC):
    """Goes back through the steps of a tape, the last first.

    Args:
        num_steps: of the tape.
    """

    def __init__(self, num_steps: int) -> None:
        self._first = num_steps  # step of the block
        self._block: tuple[Tensor, ...] = ()

    @abstractmethod
    def step(
        self,
        t: int,
        d_after: Float[Tensor, "B Z"],
        d_inputs: Float[Tensor, "B G"],
        d_hidden: Float[Tensor, "B G"],
    ) -> Float[Tensor, "B Z"]:
        """Back through step t.

        Args:
            t: which.
            d_after: gradient of the state after it.
            d_inputs: here goes the gradient of what the input added to the gates.
            d_hidden: and here of what the state added.

        Returns:
            The gradient of the state before it, but for what came through the gates; a fresh one.
        """

    @abstractmethod
    def _factors_of(self, steps: slice) -> tuple[Tensor, ...]:
        """What the gradients of some steps are multiplied with, and waits for none of them."""

    def _factors(self, t: int) -> tuple[Tensor, ...]:
        """Those of step t."""
        if t < self._first:  # of some steps at once, which is faster; of all they are large
            self._block = ()
            self._first = max(0, t + 1 - _STEPS_AT_ONCE)
            self._block = self._factors_of(slice(self._first, t + 1))
        return tuple(factor[t - self._first] for factor in self._block)


class Tape(ABC):
    """The steps of a cell by hand, time-major.

    Attributes:
        num_gates: of the cell, blocks of H numbers.
        states: `[T+1 B Z]`, the state before each step, and after the last.
        size: H.
    """

    num_gates: ClassVar[int]
    states: Float[Tensor, "T1 B Z"]
    size: int

    @classmethod
    @abstractmethod
    def start(cls, num_steps: int, state: Float[Tensor, "B Z"]) -> "Tape":
        """A tape for so many steps from `state`."""

    @abstractmethod
    def tensors(self) -> tuple[Tensor, ...]:
        """What to save for the backward pass, in the order of the constructor."""

    @abstractmethod
    def step(
        self, t: int, inputs: Float[Tensor, "B G"], hidden: Float[Tensor, "B G"]
    ) -> Float[Tensor, "B Z"]:
        """Step t, from what the input and the state add to the gates; returns the new state."""

    @abstractmethod
    def gradient(self) -> TapeGradient:
        """The way back."""

    def shown(self, t: int) -> Float[Tensor, "B H"]:
        """What the gates read of the state before step t."""
        return self.states[t, :, : self.size]
