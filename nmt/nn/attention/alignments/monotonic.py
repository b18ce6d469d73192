"""Monotonic alignment, which only moves forward (Raffel 2017)."""

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.nn import functional

from nmt.nn.attention.alignments.alignment import Alignment, AlignmentOutput, position_mask
from nmt.nn.shapes import Mask, Queries, Scores


class MonotonicAlignment(Alignment):
    """Monotonic attention: scan from the last position, stop at s with probability ``p_s``.

    ``p = sigmoid(e + r + noise)`` (Raffel 2017). Training takes the expectation over all paths,
    ``a_t(s) = p_s sum_{k <= s} a_{t-1}(k) prod_{k <= l < s} (1 - p_l)`` (eq. 8-9, in a form without
    division). The noise drives p to 0 or 1. Translation stops where p is above 1/2.
    Training keeps a matrix `[B S S]` for each step. A batch of 4,000 tokens takes a third of a
    gigabyte with sentences of 100 words, and two gigabytes with sentences of 250 words.

    Args:
        query_size: Q.
        initial_offset: initial value of r; below 0 it looks far ahead at first, so that every
            position gets a gradient.
        noise: standard deviation of the noise before the sigmoid, in training.
        stop_at_end: stop at the last position at the latest, so that the weights sum to one. In
            the paper the scan may run past the end of the sentence, and then all weights are zero.
    """

    is_sequential: ClassVar[bool] = True
    sums_to_one: ClassVar[bool] = False
    needs_distinct_scores: ClassVar[bool] = True

    def __init__(
        self,
        query_size: int,
        *,
        initial_offset: Annotated[float, Ge(-1_000), Le(1_000)] = -1.0,
        noise: Annotated[float, Ge(0), Le(1_000)] = 1.0,
        stop_at_end: bool = True,
    ) -> None:
        super().__init__(query_size)
        self.offset = nn.Parameter(torch.full((), initial_offset))
        self.noise = noise
        self.stop_at_end = stop_at_end

    def start(self, mask: Mask) -> Tensor:
        """Return weights `[B S]` that are one at the first position."""
        first = torch.zeros(mask.shape, device=mask.device)
        first[:, 0] = mask[:, 0]
        return first

    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return the weights of one step; they sum to at most one."""
        state = self.start(mask) if state is None else state
        assert scores.shape[1] == 1
        stop, stay = self._chances(scores.squeeze(1), mask)
        # log prod_{l < s} (1 - p_l): a difference is the log-probability of passing from k to s.
        passed = functional.pad(stay.double().cumsum(-1), (1, -1))
        reach = passed.unsqueeze(1) - passed.unsqueeze(2)
        forward = torch.ones(reach.shape[1:], dtype=torch.bool, device=reach.device).triu()
        going = reach.masked_fill(~forward, -torch.inf).exp()
        # Not a matrix product: autocast would compute it in bfloat16.
        weights = stop * (state.to(stop.dtype).unsqueeze(2) * going.to(stop.dtype)).sum(1)
        return AlignmentOutput(weights.unsqueeze(1).to(scores.dtype), weights)

    def _chances(self, scores: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return p and log(1 - p), `[B S]`; padding positions are skipped."""
        energy = scores.to(torch.promote_types(scores.dtype, torch.float32)) + self.offset
        if self.training:
            energy = energy + self.noise * torch.randn_like(energy)
        else:
            energy = torch.where(energy > 0, _SATURATED, -_SATURATED).to(energy)
        energy = energy.clamp(-_SATURATED, _SATURATED)
        if self.stop_at_end:
            last = position_mask((mask.sum(-1) - 1).clamp(min=0), mask.shape[1])
            energy = energy.masked_fill(last, _SATURATED)
        energy = energy.masked_fill(~mask, -_SATURATED)
        return torch.sigmoid(energy) * mask, functional.logsigmoid(-energy)


# In float32, the sigmoid of this energy is 1, and the sigmoid of its negative is 0.
_SATURATED = 120.0
