"""Scores of one query after another with the same keys, with their derivatives by hand.

Those of `additive.AdditiveScore`, or products (`multiplicative.DotScore` and its kin); both but for
what is the same for all positions, as a softmax comes next.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor


class ScoreTape(ABC):
    """Scores, and the way back."""

    @abstractmethod
    def scores(self, query: Float[Tensor, "B K"]) -> Float[Tensor, "B S"]:
        """Of one query with all keys; a fresh tensor."""

    @abstractmethod
    def back(
        self, query: Float[Tensor, "B K"], d_scores: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B K"]:
        """From the gradient of the scores, whose sum over S is zero, to that of the query."""

    @abstractmethod
    def finish(self) -> tuple[Float[Tensor, "B S K"], Float[Tensor, " K"] | None]:
        """The gradients of the keys and of the direction, once all queries went back."""


def score_tape(keys: Float[Tensor, "B S K"], direction: Float[Tensor, " K"] | None) -> ScoreTape:
    """The scores by which these keys are compared.

    Args:
        keys: with which.
        direction: from the compared layer to the score; None: scores are products.
    """
    return ProductTape(keys) if direction is None else AdditiveTape(keys, direction)


class ProductTape(ScoreTape):
    """``q . k``.

    Args:
        keys: with which.
    """

    def __init__(self, keys: Float[Tensor, "B S K"]) -> None:
        self._keys = keys
        self._back: list[tuple[Tensor, Tensor]] = []

    def scores(self, query: Float[Tensor, "B K"]) -> Float[Tensor, "B S"]:
        """Of one query with all keys; a fresh tensor."""
        return rows_times(self._keys, query)

    def back(
        self, query: Float[Tensor, "B K"], d_scores: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B K"]:
        """From the gradient of the scores to that of the query."""
        self._back.append((query, d_scores))
        return torch.bmm(d_scores.unsqueeze(1), self._keys).squeeze(1)

    def finish(self) -> tuple[Float[Tensor, "B S K"], None]:
        """The gradient of the keys, as one product over all queries."""
        queries, d_scores = (torch.stack(tensors) for tensors in zip(*self._back, strict=True))
        return torch.bmm(d_scores.permute(1, 2, 0), queries.transpose(0, 1)), None


class AdditiveTape(ScoreTape):
    """``v . tanh(q + k)``, but for ``sum(v)``, as ``2 v . s`` with s the sigmoid of ``2 (q + k)``.

    As ``tanh x = 2 s - 1``, whose derivative is ``4 s (1 - s)``; torch is several times as fast at
    s, and what is added to all scores, and all factors of v, are kept out of what is as large as
    the keys. s is computed again on the way back: all of them would take T times the memory.

    Args:
        keys: with which.
        direction: v.
    """

    def __init__(self, keys: Float[Tensor, "B S K"], direction: Float[Tensor, " K"]) -> None:
        self._doubled = 2.0 * keys
        self._direction = direction
        self._buffer = torch.empty_like(keys)  # a fresh one for each query would be paged in
        self._slope = torch.empty_like(keys)
        self._d_keys = torch.zeros_like(keys)
        self._d_direction = torch.zeros_like(direction)

    def scores(self, query: Float[Tensor, "B K"]) -> Float[Tensor, "B S"]:
        """Of one query with all keys; a fresh tensor."""
        return self._compare(query) @ (2.0 * self._direction)

    def back(
        self, query: Float[Tensor, "B K"], d_scores: Float[Tensor, "B S"]
    ) -> Float[Tensor, "B K"]:
        """From the gradient of the scores, whose sum over S is zero, to that of the query."""
        compared = self._compare(query)
        self._d_direction += d_scores.flatten() @ compared.flatten(0, 1)
        slope = torch.addcmul(compared, compared, compared, value=-1.0, out=self._slope)
        self._d_keys.addcmul_(slope, d_scores.unsqueeze(2))
        through = torch.bmm(d_scores.unsqueeze(1), slope).squeeze(1)
        return through.mul_(4.0 * self._direction)

    def finish(self) -> tuple[Float[Tensor, "B S K"], Float[Tensor, " K"]]:
        """The gradients of the keys and of the direction, once all queries went back."""
        return self._d_keys.mul_(4.0 * self._direction), self._d_direction.mul_(2.0)

    def _compare(self, query: Tensor) -> Tensor:
        """s, `[B S K]`; the next call overwrites it."""
        doubled = (2.0 * query).unsqueeze(1)
        return torch.add(self._doubled, doubled, out=self._buffer).sigmoid_()


def rows_times(rows: Float[Tensor, "B S K"], vector: Float[Tensor, "B K"]) -> Float[Tensor, "B S"]:
    """The products of rows with a vector; MKL takes eight times as long with a vector that stands.

    Args:
        rows: of each batch entry.
        vector: of each as well.
    """
    return torch.bmm(vector.unsqueeze(1), rows.transpose(1, 2)).squeeze(1)
