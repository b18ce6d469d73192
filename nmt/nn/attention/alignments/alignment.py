"""Alignment functions, which turn scores into attention weights: the base class and softmax."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import torch
from annotated_types import Ge, Le
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nmt.nn.fused.attention import AttentionTape
from nmt.nn.fused.fast_path import FastPath
from nmt.nn.shapes import Mask, Queries, Scores

_MAX_DISTANCE: Final = 1e4


@dataclass(frozen=True)
class SampledAlignment:
    """Log-probabilities of sampled positions, which REINFORCE trains.

    Attributes:
        log_probability: `[B T]`, of the sampled position; 0 where the expectation was used.
        entropy: `[B T]`, of the distribution that it was sampled from.
        is_sampled: `[B T]`, False where the expectation was used.
    """

    log_probability: Float[Tensor, "B T"]
    entropy: Float[Tensor, "B T"]
    is_sampled: Bool[Tensor, "B T"]


@dataclass(frozen=True)
class AlignmentOutput:
    """Attention weights, with the state after these steps.

    Attributes:
        weights: `[B T S]`, zero where the mask is False.
        state: the state after these steps; None for a stateless alignment.
        sampled: log-probabilities of sampled positions; None if nothing was sampled.
    """

    weights: Float[Tensor, "B T S"]
    state: Tensor | None = None
    sampled: SampledAlignment | None = None


class Alignment(FastPath, nn.Module, ABC):
    """Base class of functions from scores to attention weights.

    Args:
        query_size: Q, the size of a query.

    Attributes:
        is_sequential: whether the weights of a step depend on the previous step.
        sums_to_one: whether the weights of a step sum to one if any position is real.
        samples: whether each training pass samples positions at random.
        uses_reinforce: whether the scores are trained by `training.reinforce`.
        needs_distinct_scores: whether it picks one position by its score, which is meaningless
            if all scores are equal.
        is_sparse: whether weights may be exactly 0; such a weight has no gradient in a
            cross-entropy.
        is_guidable: whether every score gets a gradient from the guided attention loss.
        fast_path: tape of an attention with this alignment; None: the plain loop runs.
    """

    is_sequential: ClassVar[bool] = False
    sums_to_one: ClassVar[bool] = True
    samples: ClassVar[bool] = False
    uses_reinforce: ClassVar[bool] = False
    needs_distinct_scores: ClassVar[bool] = False
    is_sparse: ClassVar[bool] = False
    is_guidable: ClassVar[bool] = True

    fast_path: type[AttentionTape] | None = None

    def __init__(self, query_size: int) -> None:
        super().__init__()

    def start(self, mask: Mask) -> Tensor | None:
        """Return the state before the first step, batch first; None for a stateless alignment."""
        return None

    @abstractmethod
    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return the weights: zero where the mask is False, so all zero for a fully masked row."""


class SoftmaxAlignment(Alignment):
    """``exp(e_s / t) / sum_s' exp(e_s' / t)`` over the real tokens (Bahdanau 2015, eq. 6).

    Args:
        query_size: Q.
        temperature: t; below 1 sharpens the weights, above 1 flattens them.
    """

    fast_path = AttentionTape

    def __init__(
        self, query_size: int, *, temperature: Annotated[float, Ge(0.001), Le(1_000)] = 1.0
    ) -> None:
        super().__init__(query_size)
        self.temperature = temperature
        if temperature != 1.0:
            self.drop_fast_path("the temperature of the softmax")

    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return weights that sum to one."""
        real = mask.unsqueeze(1)
        if self.temperature == 1.0:
            return AlignmentOutput(masked_softmax(scores, real))
        tempered = subtract_max(scores, real) / self.temperature
        return AlignmentOutput(masked_softmax(tempered, real).to(scores.dtype))


def position_mask(positions: Int[Tensor, "*N"], size: int) -> Bool[Tensor, "*N {size}"]:
    """Return a one-hot mask over `size` positions for each entry."""
    # Not `one_hot`: its size is fixed at export.
    return torch.arange(size, device=positions.device) == positions.unsqueeze(-1)


def masked_softmax(scores: Scores, real: Bool[Tensor, "B #T S"]) -> Scores:
    """Return the softmax over the real positions; zeros, not NaN, for a row without any."""
    # The lowest finite number, not -inf, which would turn a fully masked row into NaN.
    least = torch.finfo(scores.dtype).min
    return torch.softmax(scores.masked_fill(~real, least), dim=-1) * real


def subtract_max(scores: Scores, real: Bool[Tensor, "B #T S"]) -> Scores:
    """Subtract the highest score of the real positions; only differences matter.

    Differences are clamped to -10,000, where the weight is zero anyway. They stay finite when they
    are scaled, squared and summed. Padding gets -1,000,000. The result is float32 at least, because
    sums are compared later.
    """
    kept = scores.to(torch.promote_types(scores.dtype, torch.float32))
    best = kept.masked_fill(~real, torch.finfo(kept.dtype).min).amax(-1, keepdim=True).detach()
    return (kept - best).clamp(-_MAX_DISTANCE, 0.0).masked_fill(~real, -100 * _MAX_DISTANCE)
