"""Alignments that spread over the whole source: softmax and its sparse kin."""

import math
from typing import Annotated

import torch
from annotated_types import Gt
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nmt.nn.attention.alignment import Aligned, Alignment, masked_softmax
from nmt.nn.attention.sparse import entmax, entmax15, sparsemax


class SoftmaxAlignment(Alignment):
    """``exp(e_s / t) / sum_s' exp(e_s' / t)`` over the real tokens (Bahdanau 2015, eq. 6).

    Args:
        query_size: Q.
        temperature: t; below 1 the weights are sharper, above 1 flatter.
    """

    def __init__(self, query_size: int, *, temperature: Annotated[float, Gt(0)] = 1.0) -> None:
        super().__init__(query_size)
        self.temperature = temperature

    def forward(
        self,
        scores: Float[Tensor, "B T S"],
        mask: Bool[Tensor, "B S"],
        query: Float[Tensor, "B T Q"],
        past: Tensor | None = None,
    ) -> Aligned:
        """Weights: they sum to one."""
        if self.temperature != 1.0:
            scores = (scores / self.temperature).clamp(max=torch.finfo(scores.dtype).max)
        return Aligned(masked_softmax(scores, mask.unsqueeze(1)))


class SparsemaxAlignment(Alignment):
    """The nearest point on the simplex: most weights are exactly 0 (Martins & Astudillo 2016)."""

    def forward(
        self,
        scores: Float[Tensor, "B T S"],
        mask: Bool[Tensor, "B S"],
        query: Float[Tensor, "B T Q"],
        past: Tensor | None = None,
    ) -> Aligned:
        """Weights: they sum to one."""
        return Aligned((sparsemax(_masked(scores, mask)) * mask.unsqueeze(1)).to(scores.dtype))


class EntmaxAlignment(Alignment):
    """Between softmax (alpha 1) and sparsemax (alpha 2) (Peters 2019).

    Args:
        query_size: Q.
        alpha: the order, above 1: the higher, the sparser.
        learn_alpha: learn the order, in (1, 2), from `alpha` on (Correia 2019).
    """

    def __init__(
        self,
        query_size: int,
        *,
        alpha: Annotated[float, Gt(1)] = 1.5,
        learn_alpha: bool = False,
    ) -> None:
        super().__init__(query_size)
        self.alpha = alpha
        self.logit: nn.Parameter | None = None
        if learn_alpha:
            share = min(max(alpha - 1, 0.01), 0.99)
            self.logit = nn.Parameter(torch.tensor(math.log(share / (1 - share))))

    def forward(
        self,
        scores: Float[Tensor, "B T S"],
        mask: Bool[Tensor, "B S"],
        query: Float[Tensor, "B T Q"],
        past: Tensor | None = None,
    ) -> Aligned:
        """Weights: they sum to one."""
        masked = _masked(scores, mask)
        if self.logit is not None:
            weights = entmax(masked, 1 + torch.sigmoid(self.logit).to(masked.dtype))
        elif self.alpha == 1.5:
            weights = entmax15(masked)
        elif self.alpha == 2.0:
            weights = sparsemax(masked)
        else:
            weights = entmax(masked, masked.new_tensor(self.alpha))
        return Aligned((weights * mask.unsqueeze(1)).to(scores.dtype))


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """Scores with padding far below the real positions; float32 at least, as sums are compared.

    Only differences count, and beyond some thousands they all mean zero: bounded, their squares
    and sums stay finite.
    """
    kept = scores if scores.dtype == torch.float64 else scores.float()
    real = mask.unsqueeze(1)
    best = kept.masked_fill(~real, torch.finfo(kept.dtype).min).amax(-1, keepdim=True).detach()
    return (kept - best).clamp(min=-1e4).masked_fill(~real, -1e6)
