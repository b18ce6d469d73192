"""Hard alignments, which attend to one position."""

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor

from nmt.nn.attention.alignments.alignment import (
    Alignment,
    AlignmentOutput,
    SampledAlignment,
    masked_softmax,
    position_mask,
    subtract_max,
)
from nmt.nn.shapes import Mask, Queries, Scores


class HardAlignment(Alignment):
    """Hard attention: a sampled position in training, the best one in translation.

    ``a = one_hot(s)``. The scores are trained by REINFORCE (Xu 2015, section 4.1); see
    `training.reinforce`.

    Args:
        query_size: Q.
        expected: share of sentences for which training uses the expectation (softmax) in place of
            a sample, to reduce the variance of the estimate (Xu 2015).
    """

    samples: ClassVar[bool] = True
    uses_reinforce: ClassVar[bool] = True
    needs_distinct_scores: ClassVar[bool] = True
    is_guidable: ClassVar[bool] = False

    def __init__(self, query_size: int, *, expected: Annotated[float, Ge(0), Le(1)] = 0.5) -> None:
        super().__init__(query_size)
        self.expected = expected

    def start(self, mask: Mask) -> Tensor | None:
        """Return which sentences sample their positions, `[B]`; None in translation."""
        if not self.training:
            return None
        return torch.rand(len(mask), device=mask.device) >= self.expected

    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return one-hot weights, or softmax for sentences that use the expectation."""
        soft = masked_softmax(scores, mask.unsqueeze(1))
        if state is None:
            return AlignmentOutput(_one_hot(soft.argmax(-1), soft, mask))
        # A fully masked row has no distribution; its sample is masked below.
        # NaN stays in `soft`, but must not make `multinomial` fail.
        safe = torch.where(mask.any(-1)[:, None, None], soft, 1.0).float().nan_to_num(nan=1.0)
        drawn = torch.multinomial(safe.flatten(0, 1), 1).view(soft.shape[:2])
        hard = _one_hot(drawn, soft, mask)
        sampled = state.unsqueeze(1).expand(soft.shape[:2])
        log_soft = soft.float().clamp(min=torch.finfo(torch.float32).tiny).log()
        log_probability = log_soft.gather(-1, drawn.unsqueeze(-1)).squeeze(-1) * sampled
        entropy = -(soft.float() * log_soft).sum(-1)
        sample = SampledAlignment(log_probability, entropy, sampled)
        return AlignmentOutput(torch.where(sampled.unsqueeze(-1), hard, soft), state, sample)


class GumbelAlignment(Alignment):
    """Straight-through Gumbel-softmax: one sampled position, with the gradient of softmax.

    ``a = one_hot(argmax(e + g))`` forward, ``a = softmax((e + g) / t)`` backward (Jang 2017).
    Translation takes the best position, without noise.

    Args:
        query_size: Q.
        temperature: t.
    """

    samples: ClassVar[bool] = True
    needs_distinct_scores: ClassVar[bool] = True
    is_guidable: ClassVar[bool] = False

    def __init__(
        self, query_size: int, *, temperature: Annotated[float, Ge(0.001), Le(1_000)] = 1.0
    ) -> None:
        super().__init__(query_size)
        self.temperature = temperature

    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return one-hot weights."""
        real = mask.unsqueeze(1)
        if not self.training:
            return AlignmentOutput(_one_hot(masked_softmax(scores, real).argmax(-1), scores, mask))
        noise = -torch.empty_like(scores, dtype=torch.float32).exponential_().log()
        noisy = subtract_max(subtract_max(scores, real) + noise, real) / self.temperature
        soft = masked_softmax(noisy, real).to(scores.dtype)
        hard = _one_hot(soft.argmax(-1), soft, mask)
        return AlignmentOutput(hard + (soft - soft.detach()))


def _one_hot(position: Tensor, like: Tensor, mask: Tensor) -> Tensor:
    """Return positions `[B T]` as one-hot weights `[B T S]`; zeros for a fully masked row."""
    ones = position_mask(position, like.shape[-1]).to(like.dtype)
    return ones * mask.unsqueeze(1)
