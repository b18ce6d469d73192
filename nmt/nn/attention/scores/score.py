"""Score functions, which rate how well each source position matches a query: the base classes."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.fused.fast_path import FastPath
from nmt.nn.shapes import Inputs, Keys, Mask, Queries, Query, Scores, StepScores


class Score(FastPath, nn.Module, ABC):
    """Base class of functions that compare queries with keys.

    A score is constructed with `query_size`, `key_size` and its own options as keyword arguments.
    `query_size` is Q, the size of the decoder's state. `key_size` is I, the size of a vector of the
    memory.

    Attributes:
        is_sequential: whether the scores of a step depend on the weights of the previous steps.
        reads_keys: whether the score of a position depends on its content.
        is_constant: whether every position has the same score for any query.
        needs_equal_sizes: whether queries and keys must have the same size.
        fast_path: tape for the fused decoders; None: the plain loop runs.
    """

    is_sequential: ClassVar[bool] = False
    reads_keys: ClassVar[bool] = True
    is_constant: ClassVar[bool] = False
    needs_equal_sizes: ClassVar[bool] = False
    fast_path: "type[ScoreTape] | None" = None
    outside_fast_path: ClassVar[frozenset[str]] = frozenset({"__init__", "keys"})

    def tape_weights(self) -> tuple[Tensor | None, Tensor | None]:
        """Return the weights of a tape: query projection `[K Q]` and direction `[K]`.

        None in place of the projection: the query is compared unchanged. A product has no
        direction.
        """
        return None, None

    @abstractmethod
    def keys(self, inputs: Inputs) -> Keys:
        """Return the key projection: the part of a score that depends on the memory only."""

    def start(self, keys: Keys, mask: Mask) -> Tensor | None:
        """Return the state before the first step, `[B S]` or `[B S D]`; used if `is_sequential`."""
        return None

    @abstractmethod
    def forward(self, query: Queries, keys: Keys, state: Tensor | None = None) -> Scores:
        """Return the scores, which may be any numbers; T must be 1 if there is a state."""

    def update(self, query: Queries, keys: Keys, state: Tensor, weights: Scores) -> Tensor:
        """Return the state after a step with these weights."""
        return state


class ScoreTape(ABC):
    """Scores of successive queries against the same keys, with hand-written derivatives.

    Call `scores` for each step, `backward` for each step, then `finish` once. The scores may differ
    from those of the `Score` by a constant over all positions, because a softmax follows
    (docs/fused.md).

    Args:
        keys: k, compared with the queries.
        direction: v, from the hidden layer of the score to the score; None without such a layer.
    """

    @abstractmethod
    def __init__(self, keys: Keys, direction: Float[Tensor, " K"] | None) -> None: ...

    @abstractmethod
    def scores(self, query: Query) -> StepScores:
        """Return the scores of one query against all keys, in a new tensor."""

    @abstractmethod
    def backward(self, query: Query, d_scores: StepScores) -> Query:
        """Return the gradient of a query, given the gradient of its scores, which sums to zero."""

    @abstractmethod
    def finish(self) -> tuple[Keys, Float[Tensor, " K"] | None]:
        """Return the gradients of the keys and of the direction, after all queries."""
