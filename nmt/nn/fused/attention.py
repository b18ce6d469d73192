"""Softmax attention over T steps, with hand-written derivatives (docs/fused.md).

All of it is computed in float32 at least: on a CPU, bfloat16 keys are no faster.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nmt.nn.attention.scores.score import ScoreTape
from nmt.nn.layers import rows_times
from nmt.nn.shapes import Keys, Mask, Query, StepScores, Values


@dataclass(frozen=True)
class AttentionInputs:
    """Inputs of a fused decoder from its attention.

    Attributes:
        tape: class of the attention tape.
        score_tape: class of the score tape.
        mask: `[B S]`, True = a real position.
        memory: keys, values and the direction of the score, for `AttentionTape.start`.
        query: `[K Q]`, projection of the hidden state to the query; None: the hidden state is the
            query.
    """

    tape: type["AttentionTape"]
    score_tape: type[ScoreTape]
    mask: Mask
    memory: tuple[Keys, Values, Float[Tensor, " K"] | None]
    query: Float[Tensor, "K Q"] | None


class AttentionTape:
    """Attention steps with hand-written derivatives: `step` saves what `backward` needs.

    Its tensors are time-major.

    Args:
        score_tape: class of the score tape.
        tensors: what to save for the backward pass: keys k, `[B S K]`; values v, `[B S C]`; the
            mask, `[B S]`, True = a real position; the direction of the score, `[K]`, or None; and
            the attributes below, in their order.

    Attributes:
        queries: q, float32 at least.
        weights: a, float32 at least.
        contexts: c, in the precision of the values.
    """

    queries: Float[Tensor, "T B K"]
    weights: Float[Tensor, "T B S"]
    contexts: Float[Tensor, "T B C"]

    def __init__(self, score_tape: type[ScoreTape], *tensors: Any) -> None:
        self.score_tape, self.tensors = score_tape, tensors
        keys, values, mask, direction, self.queries, self.weights, self.contexts = tensors
        dtype = self.weights.dtype
        self._scores = score_tape(
            keys.to(dtype), None if direction is None else direction.to(dtype)
        )
        self._values = values.to(dtype)
        self._mask, self._padding = mask, ~mask
        self._least = torch.finfo(dtype).min
        self._d_contexts = self.contexts[:0]

    @classmethod
    def start(cls, num_steps: int, given: AttentionInputs, *memory: Any) -> "AttentionTape":
        """Return an empty tape for `num_steps` steps; `memory` is that of `given`, already cast."""
        keys, values, direction = memory
        batch, num_positions, key_size = keys.shape
        dtype = torch.promote_types(keys.dtype, torch.float32)
        queries = keys.new_empty(num_steps, batch, key_size, dtype=dtype)
        weights = keys.new_empty(num_steps, batch, num_positions, dtype=dtype)
        contexts = values.new_empty(num_steps, batch, values.shape[2])
        memory = keys, values, given.mask, direction
        return cls(given.score_tape, *memory, queries, weights, contexts)

    def begin_backward(self) -> None:
        """Prepare the backward pass, on a tape restored from the `tensors` of a forward pass."""
        self._d_contexts = torch.empty_like(self.contexts, dtype=self.weights.dtype)

    def step(self, t: int, query: Query) -> Float[Tensor, "B C"]:
        """Return the context of step t."""
        self.queries[t] = query
        scores = self._scores.scores(self.queries[t])
        # a = softmax(e) over the real positions
        weights = torch.softmax(scores.masked_fill_(self._padding, self._least), dim=-1)
        self.weights[t] = weights.mul_(self._mask)
        # c = sum_s a_s v_s
        self.contexts[t] = torch.bmm(weights.unsqueeze(1), self._values).squeeze(1)
        return self.contexts[t]

    def backward(
        self, t: int, d_context: Float[Tensor, "B C"], d_weights: StepScores, d_query: Query
    ) -> None:
        """Backpropagate through step t.

        Args:
            t: the step.
            d_context: gradient of the context.
            d_weights: gradient of the weights, except through the context.
            d_query: filled with the gradient of the query.
        """
        weights = self.weights[t]
        self._d_contexts[t] = d_context
        # d a_s += d c . v_s
        d_weights = rows_times(self._values, self._d_contexts[t]) + d_weights
        # d e_s = a_s (d a_s - sum_r a_r d a_r)
        d_scores = weights * (d_weights - (weights * d_weights).sum(1, keepdim=True))
        d_query.copy_(self._scores.backward(self.queries[t], d_scores))

    def finish(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the gradients of keys, values and direction, after all steps."""
        keys, values, *_ = self.tensors
        # d v_s = sum_t a_ts d c_t
        d_values = torch.bmm(self.weights.permute(1, 2, 0), self._d_contexts.transpose(0, 1))
        d_keys, d_direction = self._scores.finish()
        d_direction = None if d_direction is None else d_direction.to(keys.dtype)
        return d_keys.to(keys.dtype), d_values.to(values.dtype), d_direction
