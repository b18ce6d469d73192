"""Score functions: how well does each source position fit what the decoder asks for?"""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.fused.fast_path import FastPath
from nmt.nn.shapes import Inputs, Keys, Mask, Queries, Query, Scores, StepScores


class Score(FastPath, nn.Module, ABC):
    """Compares queries with keys.

    A score is made with `query_size` (Q, numbers in the decoder's state) and `key_size` (I, numbers
    at one position of what it is compared with: of the memory), and its own options by keyword.

    Attributes:
        is_sequential: whether a step's scores depend on the weights of the steps before.
        reads_keys: whether what stands at a position matters to its score.
        is_constant: whether every position has the same score, whatever the query.
        needs_equal_sizes: whether queries and keys must be of one size.
        fast_path: its steps by hand, for the fused decoders; None: the plain loop.
    """

    is_sequential: ClassVar[bool] = False
    reads_keys: ClassVar[bool] = True
    is_constant: ClassVar[bool] = False
    needs_equal_sizes: ClassVar[bool] = False
    fast_path: "type[ScoreTape] | None" = None
    outside_fast_path: ClassVar[frozenset[str]] = frozenset({"__init__", "keys"})

    def tape_weights(self) -> tuple[Tensor | None, Tensor | None]:
        """Return what a tape needs: the weight of the query, `[K Q]`, and the direction, `[K]`.

        Without a weight the query is compared as it is; a product has no direction.
        """
        return None, None

    @abstractmethod
    def keys(self, inputs: Inputs) -> Keys:
        """Return the key projection: the part of a score that only depends on the memory."""

    def start(self, keys: Keys, mask: Mask) -> Tensor | None:
        """Return the state before the first step, `[B S]` or `[B S D]`; None: it has none.

        It is asked for where the score `is_sequential`.
        """
        return None

    @abstractmethod
    def forward(self, query: Queries, keys: Keys, state: Tensor | None = None) -> Scores:
        """Return the scores, of any size and sign; T is 1 where there is a state."""

    def update(self, query: Queries, keys: Keys, state: Tensor, weights: Scores) -> Tensor:
        """Return the state after a step with these weights."""
        return state


class ScoreTape(ABC):
    """Scores of one query after another with the same keys, with their derivatives by hand.

    `scores` for each step, `backward` for each step, `finish` once. Scores may differ from those of
    the `Score` by a number that is the same for all positions, as a softmax comes next
    (docs/fused.md).

    Args:
        keys: k, what queries are compared with.
        direction: v, from the hidden layer of the score to the score; None where it has none.
    """

    @abstractmethod
    def __init__(self, keys: Keys, direction: Float[Tensor, " K"] | None) -> None: ...

    @abstractmethod
    def scores(self, query: Query) -> StepScores:
        """Return the scores of one query with all keys, a new tensor."""

    @abstractmethod
    def backward(self, query: Query, d_scores: StepScores) -> Query:
        """Return the gradient of a query from that of its scores, whose sum over S is zero."""

    @abstractmethod
    def finish(self) -> tuple[Keys, Float[Tensor, " K"] | None]:
        """Return the gradients of the keys and of the direction, after all queries."""
