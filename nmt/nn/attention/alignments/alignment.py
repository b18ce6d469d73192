"""Alignment functions: given the scores, where does the decoder look? Softmax, and the base."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
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
    """How likely positions were that have been sampled: what REINFORCE trains.

    Attributes:
        log_probability: `[B T]`, of the position that was chosen; 0 where the expectation was
            taken instead.
        entropy: `[B T]`, of what it was chosen from.
        is_sampled: `[B T]`, False where the expectation was taken.
    """

    log_probability: Float[Tensor, "B T"]
    entropy: Float[Tensor, "B T"]
    is_sampled: Bool[Tensor, "B T"]

    @staticmethod
    def cat(sampled: "Sequence[SampledAlignment]") -> "SampledAlignment | None":
        """Return those of several calls in a row as of one call; None: there are none."""
        if not sampled:
            return None
        return SampledAlignment(
            torch.cat([part.log_probability for part in sampled], dim=1),
            torch.cat([part.entropy for part in sampled], dim=1),
            torch.cat([part.is_sampled for part in sampled], dim=1),
        )


@dataclass(frozen=True)
class AlignmentOutput:
    """Where to look.

    Attributes:
        weights: `[B T S]`, zero where the mask is False.
        state: what is remembered after these steps; None: nothing ever.
        sampled: how likely the positions were that have been sampled; None where none were.
    """

    weights: Float[Tensor, "B T S"]
    state: Tensor | None = None
    sampled: SampledAlignment | None = None


class Alignment(FastPath, nn.Module, ABC):
    """Turns scores into weights.

    Args:
        query_size: Q, numbers in what is asked.

    Attributes:
        is_sequential: whether a step's weights depend on those of the step before.
        sums_to_one: whether the weights of a step do, wherever there is a real position.
        samples: whether training draws a position at random, another one in each pass.
        uses_reinforce: whether the scores learn by `training.reinforce`.
        needs_distinct_scores: whether it picks one position by its score, and so means nothing
            where all are alike.
        is_sparse: whether weights may be exactly 0, and then have no gradient in a cross-entropy.
        is_guidable: whether every score gets a gradient from the loss of guided attention.
        fast_path: the steps by hand of an attention that has it; None: the plain loop.
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
        """Return the state before the first step, batch first; None: it has none."""
        return None

    @abstractmethod
    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return weights: zero where the mask is False; all zero where it is False everywhere."""


class SoftmaxAlignment(Alignment):
    """``exp(e_s / t) / sum_s' exp(e_s' / t)`` over the real tokens (Bahdanau 2015, eq. 6).

    Args:
        query_size: Q.
        temperature: t; below 1 the weights are sharper, above 1 flatter.
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
    """Return a mask that is True at one of `size` positions each."""
    # (Not by `one_hot`, whose size is fixed when it is exported.)
    return torch.arange(size, device=positions.device) == positions.unsqueeze(-1)


def masked_softmax(
    scores: Float[Tensor, "B T S"], real: Bool[Tensor, "B #T S"]
) -> Float[Tensor, "B T S"]:
    """Return the softmax over the real positions; zeros, not NaN, where there is none."""
    # The least finite number, not -inf: a row without any real position must not become NaN.
    least = torch.finfo(scores.dtype).min
    return torch.softmax(scores.masked_fill(~real, least), dim=-1) * real


def subtract_max(
    scores: Float[Tensor, "B T S"], real: Bool[Tensor, "B #T S"]
) -> Float[Tensor, "B T S"]:
    """Subtract from scores the best of the real positions; only differences count.

    Beyond some thousands they all mean zero weight: bounded, they can be scaled, squared and summed
    and stay finite. Padding lies below all. float32 at least, as sums are to be compared.
    """
    kept = scores.to(torch.promote_types(scores.dtype, torch.float32))
    best = kept.masked_fill(~real, torch.finfo(kept.dtype).min).amax(-1, keepdim=True).detach()
    return (kept - best).clamp(-_MAX_DISTANCE, 0.0).masked_fill(~real, -100 * _MAX_DISTANCE)
