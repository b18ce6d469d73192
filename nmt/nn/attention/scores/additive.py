"""Additive scores: a hidden layer compares query and key."""

from typing import Annotated, Final

import torch
from annotated_types import Ge, Le
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.scores.score import Score, ScoreTape
from nmt.nn.layers import initialize_linear
from nmt.nn.shapes import Inputs, Keys, Queries, Query, Scores, StepScores

_BLOCK: Final = 2**17  # numbers that are compared at once, so that they stay in the cache

# Units of the hidden layer of an additive score.
Units = Annotated[int, Ge(1), Le(100_000)]


class AdditiveScore(Score):
    """``v . tanh(W q + U h + b)`` (Bahdanau 2015, A.1.2).

    Args:
        query_size: Q.
        key_size: I.
        hidden_size: K, units of the hidden layer; null: the query size.
        normalize: use ``g v / |v|`` in place of v, with a learned gain g that starts at
            ``1 / sqrt(K)`` (weight normalisation: Salimans & Kingma 2016; as in Luong 2017).
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        *,
        hidden_size: Units | None = None,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        hidden_size = hidden_size or query_size
        self.query_projection = nn.Linear(query_size, hidden_size, bias=False)
        self.key_projection = nn.Linear(key_size, hidden_size)
        self.direction = nn.Linear(hidden_size, 1, bias=False)
        for linear in (self.query_projection, self.key_projection, self.direction):
            initialize_linear(linear)
        self.gain = nn.Parameter(torch.full((), hidden_size**-0.5)) if normalize else None

    def tape_weights(self) -> tuple[Tensor | None, Tensor | None]:
        """Return W and v."""
        return self.query_projection.weight, self.vector()

    def keys(self, inputs: Inputs) -> Keys:
        """Return ``U h + b``."""
        keys: Tensor = self.key_projection(inputs)
        if not _searches_on_cpu(keys):
            return keys
        return keys.to(torch.promote_types(keys.dtype, torch.float32))

    def forward(self, query: Queries, keys: Keys, state: Tensor | None = None) -> Scores:
        """Return the scores."""
        query = self.query_projection(query)
        if query.shape[1] == 1 and _searches_on_cpu(keys):
            return self._compare_in_blocks(query, keys).unsqueeze(1)
        return self.compare(query.unsqueeze(2) + keys.unsqueeze(1))

    def compare(self, summed: Float[Tensor, "B T S K"]) -> Scores:
        """Return ``v . tanh(sum)``; overwrites the sum to save memory."""
        return summed.tanh_() @ self.vector()

    def _compare_in_blocks(self, query: Float[Tensor, "B 1 K"], keys: Keys) -> StepScores:
        """Return ``2 v . sigmoid(2 (q + k)) - sum(v)``, equal to ``v . tanh(q + k)``.

        torch computes sigmoid several times as fast as tanh, and the sums of a block of sentences
        do not leave the cache.
        """
        batch, num_positions, size = keys.shape
        direction, doubled = self.vector().to(keys.dtype), 2.0 * query.to(keys.dtype)
        rows = max(1, _BLOCK // (num_positions * size))
        scores = keys.new_empty(batch, num_positions)
        summed = keys.new_empty(min(rows, batch), num_positions, size)
        for first in range(0, batch, rows):
            block = slice(first, first + rows)
            part = summed[: min(rows, batch - first)]
            torch.add(doubled[block], keys[block], alpha=2.0, out=part)
            torch.mv(part.sigmoid_().view(-1, size), direction, out=scores[block].view(-1))
        return scores.mul_(2.0).sub_(direction.sum())

    def vector(self) -> Float[Tensor, " K"]:
        """Return ``v``, or ``g v / |v|``."""
        direction: Tensor = self.direction.weight.squeeze(0)
        if self.gain is None:
            return direction
        return self.gain * nn.functional.normalize(direction, dim=0)


def _searches_on_cpu(keys: Tensor) -> bool:
    """Return whether there are no gradients to keep, and the operations run on a CPU."""
    is_recorded = torch.is_grad_enabled() or torch.compiler.is_exporting()
    return keys.device.type == "cpu" and not is_recorded


class ConcatScore(AdditiveScore):
    """``v . tanh(W [q; h])`` (Luong 2015, eq. 8): additive with one matrix and no bias.

    Args:
        query_size: Q.
        key_size: I.
        hidden_size: K, units of the hidden layer; null: the query size.
    """

    def __init__(self, query_size: int, key_size: int, *, hidden_size: Units | None = None) -> None:
        super().__init__(query_size, key_size, hidden_size=hidden_size)
        joint = torch.empty(self.direction.in_features, query_size + key_size)
        nn.init.xavier_uniform_(joint)
        self.key_projection = nn.Linear(key_size, len(joint), bias=False)
        with torch.no_grad():
            self.query_projection.weight.copy_(joint[:, :query_size])
            self.key_projection.weight.copy_(joint[:, query_size:])


class AdditiveTape(ScoreTape):
    """``e_s = v . tanh(q + k_s) + sum(v)``: the scores of `AdditiveScore`.

    They are computed as ``2 v . p_s`` with ``p_s = sigmoid(2 (q + k_s))``: ``tanh x = 2 p - 1``,
    and its derivative is ``4 p (1 - p)``. torch computes sigmoid several times as fast as tanh.
    Tensors as large as the keys are not multiplied by v.
    The backward pass computes p again: keeping it for all steps would take T times the memory.

    Args:
        keys: k.
        direction: v.
    """

    def __init__(self, keys: Keys, direction: Float[Tensor, " K"] | None) -> None:
        assert direction is not None
        self._doubled = 2.0 * keys
        self._direction = direction
        self._buffer = torch.empty_like(keys)  # reused: a new one would cause page faults
        self._slope = torch.empty_like(keys)
        self._d_keys = torch.zeros_like(keys)
        self._d_direction = torch.zeros_like(direction)

    def scores(self, query: Query) -> StepScores:
        """Return the scores of one query against all keys, in a new tensor."""
        return self._sigmoid(query) @ (2.0 * self._direction)

    def backward(self, query: Query, d_scores: StepScores) -> Query:
        """Return the gradient of a query, given the gradient of its scores, which sums to zero."""
        sigmoid = self._sigmoid(query)
        # d v += 2 sum_s d e_s p_s (the factor: in `finish`)
        self._d_direction += d_scores.flatten() @ sigmoid.flatten(0, 1)
        # d k_s += 4 v * d e_s p_s (1 - p_s) (4 v: in `finish`)
        slope = torch.addcmul(sigmoid, sigmoid, sigmoid, value=-1.0, out=self._slope)
        self._d_keys.addcmul_(slope, d_scores.unsqueeze(2))
        # d q = 4 v * sum_s d e_s p_s (1 - p_s)
        d_query = torch.bmm(d_scores.unsqueeze(1), slope).squeeze(1)
        return d_query.mul_(4.0 * self._direction)

    def finish(self) -> tuple[Keys, Float[Tensor, " K"]]:
        """Return the gradients of the keys and of the direction, after all queries."""
        return self._d_keys.mul_(4.0 * self._direction), self._d_direction.mul_(2.0)

    def _sigmoid(self, query: Tensor) -> Tensor:
        """Return p, `[B S K]`; the next call overwrites it."""
        doubled = (2.0 * query).unsqueeze(1)
        return torch.add(self._doubled, doubled, out=self._buffer).sigmoid_()


AdditiveScore.fast_path = AdditiveTape  # set here: the tape is defined after the plain code
