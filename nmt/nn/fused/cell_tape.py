"""A recurrent cell over T steps, with its derivatives by hand (docs/fused.md)."""

from abc import ABC, abstractmethod
from typing import Final

from jaxtyping import Float
from torch import Tensor

_BLOCK_SIZE: Final = 4


class CellTape(ABC):
    """The steps of a cell: `step` writes down what `backward` needs; time-major.

    Args:
        states: `[T+1 B Z]`, the state before each step, and after the last.
        size: H.
    """

    def __init__(self, states: Float[Tensor, "T1 B Z"], size: int) -> None:
        self.states = states
        self.size = size
        self._block_start = len(states)
        self._block: tuple[Tensor, ...] = ()

    @classmethod
    @abstractmethod
    def start(cls, num_steps: int, state: Float[Tensor, "B Z"]) -> "CellTape":
        """Return an empty tape for `num_steps` steps from `state`."""

    @abstractmethod
    def tensors(self) -> tuple[Tensor, ...]:
        """Return what to save for the backward pass, in the order of the constructor."""

    @abstractmethod
    def step(
        self, t: int, inputs: Float[Tensor, "B G"], hidden: Float[Tensor, "B G"]
    ) -> Float[Tensor, "B Z"]:
        """Return the state after step t.

        Args:
            t: the step.
            inputs: x, what the inputs add to the gates.
            hidden: u, what the hidden state adds to the gates.
        """

    @abstractmethod
    def backward(
        self,
        t: int,
        d_after: Float[Tensor, "B Z"],
        d_inputs: Float[Tensor, "B G"],
        d_hidden: Float[Tensor, "B G"],
    ) -> Float[Tensor, "B Z"]:
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

    def hidden(self, t: int) -> Float[Tensor, "B H"]:
        """Return what the gates read of the state before step t."""
        return self.states[t, :, : self.size]
