"""Multiplicative scores: a product of query and key."""

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.scores.score import Score, ScoreTape
from nmt.nn.layers import Linear, rows_times
from nmt.nn.shapes import Inputs, Keys, Queries, Query, Scores, StepScores


class _ProductScore(Score):
    """A product of each query with each key."""

    def forward(self, query: Queries, keys: Keys, state: Tensor | None = None) -> Scores:
        """Return the scores."""
        return query @ keys.transpose(1, 2)


class DotScore(_ProductScore):
    """``q . h`` (Luong 2015, eq. 8), for queries and memory of the same size."""

    needs_equal_sizes: ClassVar[bool] = True

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        assert query_size == key_size

    def keys(self, inputs: Inputs) -> Keys:
        """Return the memory unchanged."""
        return inputs


class ScaledDotScore(DotScore):
    """``q . h / sqrt(Q)`` (Vaswani 2017, eq. 1): the variance does not depend on the size."""

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__(query_size, key_size)
        self.scale: float = query_size**-0.5

    def keys(self, inputs: Inputs) -> Keys:
        """Return the memory divided by ``sqrt(Q)``."""
        return inputs * self.scale


class GeneralScore(_ProductScore):
    """``q . W h`` (Luong 2015, eq. 8), for queries and memory of any sizes.

    W is a Glorot-initialised matrix divided by ``sqrt(Q)``. A score sums over its Q x I weights.
    Without the division, the softmax would start saturated. A step of Adam moves all weights by the
    same amount, and would change the scores by several units.
    """

    def __init__(self, query_size: int, key_size: int) -> None:
        super().__init__()
        self.key_projection = Linear(key_size, query_size, bias=False)
        self.scale: float = query_size**-0.5

    def keys(self, inputs: Inputs) -> Keys:
        """Return the memory projected to the query size."""
        return self.key_projection(inputs) * self.scale


class CosineScore(GeneralScore):
    """``g cos(q, W h)`` (Graves 2014, eq. 5-6), where the learned gain g sets the sharpness.

    Args:
        query_size: Q.
        key_size: I.
        initial_gain: initial value of g. Without a gain, cosines in [-1, 1] give a flat softmax.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        *,
        initial_gain: Annotated[float, Ge(0.001), Le(1_000)] = 10.0,
    ) -> None:
        super().__init__(query_size, key_size)
        self.gain = nn.Parameter(torch.full((), initial_gain))

    def keys(self, inputs: Inputs) -> Keys:
        """Return the memory projected to the query size, each vector of length 1."""
        return nn.functional.normalize(super().keys(inputs), dim=-1)

    def forward(self, query: Queries, keys: Keys, state: Tensor | None = None) -> Scores:
        """Return the scores."""
        return self.gain * super().forward(nn.functional.normalize(query, dim=-1), keys)


class ProductTape(ScoreTape):
    """``e_s = q . k_s``: the scores of `DotScore` and its relatives.

    Args:
        keys: k.
        direction: None.
    """

    def __init__(self, keys: Keys, direction: Float[Tensor, " K"] | None = None) -> None:
        assert direction is None
        self._keys = keys
        self._back: list[tuple[Tensor, Tensor]] = []

    def scores(self, query: Query) -> StepScores:
        """Return the scores of one query against all keys, in a new tensor."""
        return rows_times(self._keys, query)

    def backward(self, query: Query, d_scores: StepScores) -> Query:
        """Return the gradient of a query, given the gradient of its scores."""
        self._back.append((query, d_scores))
        # d q = sum_s d e_s k_s
        return torch.bmm(d_scores.unsqueeze(1), self._keys).squeeze(1)

    def finish(self) -> tuple[Keys, None]:
        """Return the gradient of the keys, as one product over all queries."""
        queries, d_scores = (torch.stack(tensors) for tensors in zip(*self._back, strict=True))
        # d k_s = sum_t d e_ts q_t
        return torch.bmm(d_scores.permute(1, 2, 0), queries.transpose(0, 1)), None


_ProductScore.fast_path = ProductTape  # set here: the tape is defined after the plain code
