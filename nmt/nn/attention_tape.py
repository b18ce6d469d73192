"""Softmax attention step by step with its derivatives by hand, for the fused decoders.

The scores are those of `additive.AdditiveScore`, where there is a direction, or products of query
and key (`multiplicative.DotScore` and its kin). The tanh over the keys is computed again in the
backward pass rather than kept: that takes as long as reading it back would, and saves `T` times
the memory.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Looked:
    """What is looked at, and what was seen; time-major.

    Attributes:
        keys: `[B S K]`.
        values: `[B S C]`.
        mask: `[B S]`, True = a real position.
        direction: `[K]`, from the compared layer to the score; None: scores are products.
        queries: `[T B K]`, in the space of the keys.
        weights: `[T B S]`.
        contexts: `[T B C]`.
    """

    keys: Float[Tensor, "B S K"]
    values: Float[Tensor, "B S C"]
    mask: Bool[Tensor, "B S"]
    direction: Float[Tensor, " K"] | None
    queries: Float[Tensor, "T B K"]
    weights: Float[Tensor, "T B S"]
    contexts: Float[Tensor, "T B C"]

    @classmethod
    def start(
        cls,
        num_steps: int,
        keys: Tensor,
        values: Tensor,
        mask: Tensor,
        direction: Tensor | None,
    ) -> "Looked":
        """Room for so many steps."""
        batch, num_positions, num_keys = keys.shape
        sizes = (num_keys, num_positions, values.shape[2])
        room = (keys.new_empty(num_steps, batch, size) for size in sizes)
        return cls(keys, values, mask, direction, *room)

    def tensors(self) -> tuple[Tensor | None, ...]:
        """What to save for the backward pass, in the order of the constructor."""
        seen = (self.queries, self.weights, self.contexts)
        return self.keys, self.values, self.mask, self.direction, *seen


class AttentionTape:
    """Looks, step by step.

    Args:
        looked: where it is written down.
    """

    def __init__(self, looked: Looked) -> None:
        self._looked = looked
        self._padding = ~looked.mask
        self._least = torch.finfo(looked.keys.dtype).min
        self._buffer = None if looked.direction is None else torch.empty_like(looked.keys)

    def look(self, t: int, query: Float[Tensor, "B K"]) -> Float[Tensor, "B C"]:
        """Step t: the context."""
        looked = self._looked
        looked.queries[t] = query
        if looked.direction is None:
            scores = torch.bmm(looked.keys, query.unsqueeze(2)).squeeze(2)
        else:
            scores = _compare(looked.keys, query, self._buffer) @ looked.direction
        weights = torch.softmax(scores.masked_fill_(self._padding, self._least), dim=-1)
        looked.weights[t] = weights.mul_(looked.mask)
        looked.contexts[t] = torch.bmm(weights.unsqueeze(1), looked.values).squeeze(1)
        return looked.contexts[t]


class AttentionGradient:
    """Goes back through the steps.

    Args:
        looked: what was written down.
    """

    def __init__(self, looked: Looked) -> None:
        self._looked = looked
        self._d_contexts = torch.empty_like(looked.contexts)
        self._d_scores = torch.empty_like(looked.weights)
        self._buffer = None if looked.direction is None else torch.empty_like(looked.keys)
        self._d_keys = torch.zeros_like(looked.keys)
        self._d_direction = None if looked.direction is None else torch.zeros_like(looked.direction)

    def step(
        self,
        t: int,
        d_context: Float[Tensor, "B C"],
        d_weights: Float[Tensor, "B S"],
        d_query: Float[Tensor, "B K"],
    ) -> None:
        """Back through step t.

        Args:
            t: which.
            d_context: of what was seen.
            d_weights: of where it was seen, beside that.
            d_query: here goes the gradient of the query.
        """
        looked = self._looked
        self._d_contexts[t] = d_context
        weights = looked.weights[t]
        d_weights = torch.bmm(looked.values, d_context.unsqueeze(2)).squeeze(2) + d_weights
        d_scores = weights * (d_weights - (weights * d_weights).sum(1, keepdim=True))
        if looked.direction is None:
            self._d_scores[t] = d_scores
            d_query.copy_(torch.bmm(d_scores.unsqueeze(1), looked.keys).squeeze(1))
            return
        compared = _compare(looked.keys, looked.queries[t], self._buffer)
        assert self._d_direction is not None
        self._d_direction += d_scores.flatten() @ compared.flatten(0, 1)
        d_compared = compared.square_().neg_().add_(1).mul_(looked.direction)
        d_compared.mul_(d_scores.unsqueeze(2))
        torch.sum(d_compared, dim=1, out=d_query)
        self._d_keys += d_compared

    def finish(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """The gradients of keys, values and direction, once all steps are done."""
        looked = self._looked
        d_values = torch.bmm(looked.weights.permute(1, 2, 0), self._d_contexts.transpose(0, 1))
        d_keys = self._d_keys
        if looked.direction is None:
            d_keys = torch.bmm(self._d_scores.permute(1, 2, 0), looked.queries.transpose(0, 1))
        return d_keys, d_values, self._d_direction


def _compare(keys: Tensor, query: Tensor, out: Any) -> Tensor:
    """``tanh(U h + W q)`` of one step, `[B S K]`, into a buffer: a fresh one would be paged in."""
    return torch.add(keys, query.unsqueeze(1), out=out).tanh_()
