"""Scores of one query after another with the same keys, with their derivatives by hand.

Scores may differ from those of the `Score` by a number that is the same for all positions, as a
softmax comes next (docs/fused.md).
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor


class ScoreTape(ABC):
    """Scores of queries: `scores` for each step, `backward` for each step, `finish` once.

    Args:
        keys: k, what queries are compared with.
        direction: v, from the hidden layer of the score to the score; None where it has none.
    """

    @abstractmethod
    def __init__(
        self, keys: Float[Tensor, "B S K"], direction: Float[Tensor, " K"] | None
    ) -> None: ...

    @abstractmethod
    def scores(self, query: Float[Tensor, "B K"]) -> Float[Tensor, "B S"]:
        """Return the scores of one query with all keys, a new tensor."""

    @abstractmethod
    def backward(
        self, query: Float[Tensor, "B K"], d_scores: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B K"]:
        """Return the gradient of a query from that of its scores, whose sum over S is zero."""

    @abstractmethod
    def finish(self) -> tuple[Float[Tensor, "B S K"], Float[Tensor, " K"] | None]:
        """Return the gradients of the keys and of the direction, after all queries."""


class ProductTape(ScoreTape):
    """``e_s = q . k_s``: the scores of `multiplicative.DotScore` and its relatives.

    Args:
        keys: k.
        direction: None.
    """

    def __init__(
        self, keys: Float[Tensor, "B S K"], direction: Float[Tensor, " K"] | None = None
    ) -> None:
        assert direction is None
        self._keys = keys
        self._back: list[tuple[Tensor, Tensor]] = []

    def scores(self, query: Float[Tensor, "B K"]) -> Float[Tensor, "B S"]:
        """Return the scores of one query with all keys, a new tensor."""
        return rows_times(self._keys, query)

    def backward(
        self, query: Float[Tensor, "B K"], d_scores: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B K"]:
        """Return the gradient of a query from that of its scores."""
        self._back.append((query, d_scores))
        # d q = sum_s d e_s k_s
        return torch.bmm(d_scores.unsqueeze(1), self._keys).squeeze(1)

    def finish(self) -> tuple[Float[Tensor, "B S K"], None]:
        """Return the gradient of the keys, as one product over all queries."""
        queries, d_scores = (torch.stack(tensors) for tensors in zip(*self._back, strict=True))
        # d k_s = sum_t d e_ts q_t
        return torch.bmm(d_scores.permute(1, 2, 0), queries.transpose(0, 1)), None


class AdditiveTape(ScoreTape):
    """``e_s = v . tanh(q + k_s) + sum(v)``: the scores of `additive.AdditiveScore`.

    They are computed as ``2 v . p_s`` with ``p_s = sigmoid(2 (q + k_s))``: ``tanh x = 2 p - 1``,
    and its derivative is ``4 p (1 - p)``. torch is several times as fast at p, and the factors of v
    stay out of tensors as large as the keys.
    The backward pass computes p again: to keep it for all steps would take T times the memory.

    Args:
        keys: k.
        direction: v.
    """

    def __init__(self, keys: Float[Tensor, "B S K"], direction: Float[Tensor, " K"] | None) -> None:
        assert direction is not None
        self._doubled = 2.0 * keys
        self._direction = direction
        self._buffer = torch.empty_like(keys)  # a new one for each query would be paged in
        self._slope = torch.empty_like(keys)
        self._d_keys = torch.zeros_like(keys)
        self._d_direction = torch.zeros_like(direction)

    def scores(self, query: Float[Tensor, "B K"]) -> Float[Tensor, "B S"]:
        """Return the scores of one query with all keys, a new tensor."""
        return self._sigmoid(query) @ (2.0 * self._direction)

    def backward(
        self, query: Float[Tensor, "B K"], d_scores: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B K"]:
        """Return the gradient of a query from that of its scores, whose sum over S is zero."""
        sigmoid = self._sigmoid(query)
        # d v += 2 sum_s d e_s p_s (the factor: in `finish`)
        self._d_direction += d_scores.flatten() @ sigmoid.flatten(0, 1)
        # d k_s += 4 v * d e_s p_s (1 - p_s) (4 v: in `finish`)
        slope = torch.addcmul(sigmoid, sigmoid, sigmoid, value=-1.0, out=self._slope)
        self._d_keys.addcmul_(slope, d_scores.unsqueeze(2))
        # d q = 4 v * sum_s d e_s p_s (1 - p_s)
        d_query = torch.bmm(d_scores.unsqueeze(1), slope).squeeze(1)
        return d_query.mul_(4.0 * self._direction)

    def finish(self) -> tuple[Float[Tensor, "B S K"], Float[Tensor, " K"]]:
        """Return the gradients of the keys and of the direction, after all queries."""
        return self._d_keys.mul_(4.0 * self._direction), self._d_direction.mul_(2.0)

    def _sigmoid(self, query: Tensor) -> Tensor:
        """Return p, `[B S K]`; the next call overwrites it."""
        doubled = (2.0 * query).unsqueeze(1)
        return torch.add(self._doubled, doubled, out=self._buffer).sigmoid_()


def rows_times(rows: Float[Tensor, "B S K"], vector: Float[Tensor, "B K"]) -> Float[Tensor, "B S"]:
    """Return the products of rows with a vector for each batch entry.

    (MKL takes eight times as long for `rows` times a column.)
    """
    return torch.bmm(vector.unsqueeze(1), rows.transpose(1, 2)).squeeze(1)
