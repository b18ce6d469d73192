"""Content-free scores, which do not read the keys."""

from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from torch import Tensor, nn

from nmt.nn.attention.scores.score import Score
from nmt.nn.layers import Linear
from nmt.nn.shapes import Inputs, Keys, Queries, Scores

_MASKED = -1e4


class _ContentFreeScore(Score):
    """Base class of scores that do not read the keys."""

    reads_keys: ClassVar[bool] = False

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()

    def keys(self, inputs: Inputs) -> Keys:
        """Return empty keys, `[B S 0]`."""
        return inputs[..., :0]


class UniformScore(_ContentFreeScore):
    """``e = 0`` for every position, so that softmax averages all positions (a baseline)."""

    is_constant: ClassVar[bool] = True

    def forward(self, query: Queries, keys: Keys, state: Tensor | None = None) -> Scores:
        """Return the scores."""
        return query.new_zeros(*query.shape[:2], keys.shape[1])


class LocationScore(_ContentFreeScore):
    """``e = W q``, one row of W for each position (Luong 2015, eq. 8); reads the query only.

    Args:
        query_size: Q.
        key_size: I.
        max_positions: rows of W: tokens (including EOS) or cells of a source. Positions beyond it
            are masked.
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
