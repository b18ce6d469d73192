"""Scores that do not ask what stands at a position."""

from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from torch import Tensor, nn

from nmt.nn.attention.scores.score import Score
from nmt.nn.layers import Linear
from nmt.nn.shapes import Inputs, Keys, Queries, Scores

_MASKED = -1e4


class _ContentFreeScore(Score):
    """A score that does not ask what stands at a position."""

    reads_keys: ClassVar[bool] = False

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()

    def keys(self, inputs: Inputs) -> Keys:
        """Return nothing: `[B S 0]`."""
        return inputs[..., :0]


class UniformScore(_ContentFreeScore):
    """``0``: every position alike, so that softmax reads their mean (a baseline)."""

    is_constant: ClassVar[bool] = True

    def forward(self, query: Queries, keys: Keys, state: Tensor | None = None) -> Scores:
        """Return the scores."""
        return query.new_zeros(*query.shape[:2], keys.shape[1])


class LocationScore(_ContentFreeScore):
    """``W q``, one row of W for each position (Luong 2015, eq. 8); reads the query only.

    Args:
        query_size: Q.
        key_size: I.
        max_positions: rows of W: tokens (EOS counted) or cells of a source; none beyond is seen.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        *,
        max_positions: Annotated[int, Ge(1), Le(100_000)] = 256,
    ) -> None:
        super().__init__(query_size, key_size)
        self.projection = Linear(query_size, max_positions, bias=False)

    def forward(self, query: Queries, keys: Keys, state: Tensor | None = None) -> Scores:
        """Return the scores."""
        num_positions = keys.shape[1]
        padded = nn.functional.pad(self.projection(query), (0, num_positions), value=_MASKED)
        return padded[..., :num_positions]
