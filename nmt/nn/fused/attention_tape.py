"""Softmax attention step by step with its derivatives by hand, for the fused decoders.

All of it is computed in float32 at least: a CPU is no faster over the keys in bfloat16.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nmt.nn.fused.score_tape import ScoreTape, rows_times, score_tape


@dataclass(frozen=True)
class Looked:
    """What is looked at, and what was seen; time-major.

    Attributes:
        keys: `[B S K]`.
        values: `[B S C]`.
        mask: `[B S]`, True = a real position.
        direction: `[K]`, from the compared layer to the score; None: scores are products.
        queries: `[T B K]`, in the space of the keys; float32 at least.
        weights: `[T B S]`; float32 at least.
        contexts: `[T B C]`, in the precision of the values.
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
        kind = torch.promote_types(keys.dtype, torch.float32)
        queries = keys.new_empty(num_steps, batch, num_keys, dtype=kind)
        weights = keys.new_empty(num_steps, batch, num_positions, dtype=kind)
        contexts = values.new_empty(num_steps, batch, values.shape[2])
        return cls(keys, values, mask, direction, queries, weights, contexts)

    def precisely(self) -> tuple[ScoreTape, Tensor]:
        """The scores of its keys, and its values, in the precision that is computed in."""
        kind, direction = self.weights.dtype, self.direction
        direction = None if direction is None else direction.to(kind)
        return score_tape(self.keys.to(kind), direction), self.values.to(kind)

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
        self._scores, self._values = looked.precisely()
        self._padding = ~looked.mask
        self._least = torch.finfo(looked.weights.dtype).min

    def look(self, t: int, query: Float[Tensor, "B K"]) -> Float[Tensor, "B C"]:
        """Step t: the context."""
        looked = self._looked
        looked.queries[t] = query
        scores = self._scores.scores(looked.queries[t])
        weights = torch.softmax(scores.masked_fill_(self._padding, self._least), dim=-1)
        looked.weights[t] = weights.mul_(looked.mask)
        looked.contexts[t] = torch.bmm(weights.unsqueeze(1), self._values).squeeze(1)
        return looked.contexts[t]


class AttentionGradient:
    """Goes back through the steps.

    Args:
        looked: what was written down.
    """

    def __init__(self, looked: Looked) -> None:
        self._looked = looked
        self._scores, self._values = looked.precisely()
        self._d_contexts = torch.empty_like(looked.contexts, dtype=self._values.dtype)

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
        looked, weights = self._looked, self._looked.weights[t]
        self._d_contexts[t] = d_context
        d_weights = rows_times(self._values, self._d_contexts[t]) + d_weights
        d_scores = weights * (d_weights - (weights * d_weights).sum(1, keepdim=True))
        d_query.copy_(self._scores.back(looked.queries[t], d_scores))

    def finish(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """The gradients of keys, values and direction, once all steps are done."""
        looked = self._looked
        d_values = torch.bmm(looked.weights.permute(1, 2, 0), self._d_contexts.transpose(0, 1))
        d_keys, d_direction = self._scores.finish()
        direction = None if d_direction is None else d_direction.to(looked.keys.dtype)
        return d_keys.to(looked.keys.dtype), d_values.to(looked.values.dtype), direction
