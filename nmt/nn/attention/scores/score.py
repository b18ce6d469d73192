"""Score functions: how well does each source position fit what the decoder asks for?"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from nmt.nn.fused.score_tape import ScoreTape
from nmt.nn.shapes import Inputs, Keys, Mask, Queries, Scores


class Score(nn.Module, ABC):
    """Compares queries with keys.

    Args:
        query_size: Q, numbers in the decoder's state.
        key_size: I, numbers at one position of what it is compared with: of the memory.
    """

    is_sequential: ClassVar[bool] = False
    """Whether a step's scores depend on the weights of the steps before."""

    reads_keys: ClassVar[bool] = True
    """Whether what stands at a position matters to its score."""

    is_constant: ClassVar[bool] = False
    """Whether every position has the same score, whatever the query."""

    needs_equal_sizes: ClassVar[bool] = False
    """Whether queries and keys must be of one size."""

    tape: type[ScoreTape] | None = None
    """Its steps by hand, for the fused decoders; None: the plain loop.

    A class with a `forward` or `compare` of its own has None unless it sets another.
    """

    def __init_subclass__(cls) -> None:
        """Drop the tape of a base whose scores the class changes."""
        super().__init_subclass__()
        if vars(cls).keys() & {"forward", "compare"} and "tape" not in vars(cls):
            cls.tape = None

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()

    @property
    def slow_path_reason(self) -> str | None:
        """Why a decoder with this score has no fast path; None: it has one."""
        return f"the score {type(self).__name__}" if self.tape is None else None

    def tape_weights(self) -> tuple[Tensor | None, Tensor | None]:
        """Return what `tape` needs: the weight of the query, `[K Q]`, and the direction, `[K]`.

        Without a weight the query is compared as it is; a product has no direction.
        """
        return None, None

    @abstractmethod
    def keys(self, inputs: Inputs) -> Keys:
        """Return the key projection: the part of a score that only depends on the memory."""

    def start(self, keys: Keys, mask: Mask) -> Tensor | None:
        """Return the state before the first step, `[B S]` or `[B S D]`; None: it has none."""
        return None

    @abstractmethod
    def forward(self, query: Queries, keys: Keys, state: Tensor | None = None) -> Scores:
        """The scores, of any size and sign; T is 1 where there is a state."""

    def update(self, query: Queries, keys: Keys, state: Tensor, weights: Scores) -> Tensor:
        """Return the state after a step with these weights."""
        return state
