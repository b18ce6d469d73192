"""Sparse alignments: sparsemax and entmax, with their gradients.

Each is ``argmax_p p . z + H_alpha(p)`` over the simplex, with the Tsallis entropy H of order alpha
(Peters 2019, eq. 10-11). The solution is ``p = [(alpha - 1) z - tau]_+ ^ (1 / (alpha - 1))``, where
the threshold tau makes p sum to one. Alpha 1 is softmax, alpha 2 is sparsemax.
"""

import math
from typing import Annotated, Any, ClassVar, Final

import torch
from annotated_types import Ge, Le
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.core.errors import ConfigError
from nmt.nn.attention.alignments.alignment import Alignment, AlignmentOutput, subtract_max
from nmt.nn.shapes import Mask, Queries, Scores

# Softmax is the limit at 1. Closer to 1, the power ``1 / (alpha - 1)`` loses all precision.
_MIN_ALPHA: Final = 1.01
_MAX_ALPHA: Final = 1.99
_NUM_BISECTIONS: Final = 50  # more than a float64 can resolve


class SparsemaxAlignment(Alignment):
    """Projection of the scores on the simplex, mostly exact zeros (Martins & Astudillo 2016).

    ``a = argmin_p |p - e|^2`` (eq. 2).
    """

    is_sparse: ClassVar[bool] = True

    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return weights that sum to one."""
        real = mask.unsqueeze(1)
        return AlignmentOutput((sparsemax(subtract_max(scores, real)) * real).to(scores.dtype))


class EntmaxAlignment(Alignment):
    """Entmax of order alpha: softmax at 1, sparsemax at 2 (Peters 2019, eq. 10-11).

    ``a = argmax_p p . e + H_alpha(p)``, with the Tsallis entropy H.

    Args:
        query_size: Q.
        alpha: the order, 1.01 or more: the higher, the sparser.
        learn_alpha: learn the order, between 1.01 and 1.99, starting at `alpha` (Correia 2019).

    Raises:
        ConfigError: the initial value of a learned order is out of range.
    """

    is_sparse: ClassVar[bool] = True

    def __init__(
        self,
        query_size: int,
        *,
        alpha: Annotated[float, Ge(1.01), Le(10)] = 1.5,
        learn_alpha: bool = False,
    ) -> None:
        super().__init__(query_size)
        self.alpha = alpha
        self.logit: nn.Parameter | None = None
        if learn_alpha:
            if not _MIN_ALPHA < alpha < _MAX_ALPHA:
                raise ConfigError(
                    f"model.attention.alignment.alpha: must be between {_MIN_ALPHA} and "
                    f"{_MAX_ALPHA} if learned, not {alpha:g}; set it to 1.5, or learn_alpha: false"
                )
            share = (alpha - _MIN_ALPHA) / (_MAX_ALPHA - _MIN_ALPHA)
            self.logit = nn.Parameter(torch.full((), math.log(share / (1 - share))))

    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return weights that sum to one."""
        real = mask.unsqueeze(1)
        bounded = subtract_max(scores, real)
        if self.logit is not None:
            alpha = _MIN_ALPHA + (_MAX_ALPHA - _MIN_ALPHA) * torch.sigmoid(self.logit)
            weights = entmax(bounded, alpha.to(bounded.dtype))
        elif self.alpha == 1.5:
            weights = entmax15(bounded)
        elif self.alpha == 2.0:
            weights = sparsemax(bounded)
        else:
            weights = entmax(bounded, bounded.new_full((), self.alpha))
        return AlignmentOutput((weights * real).to(scores.dtype))


def sparsemax(scores: Float[Tensor, "*N S"]) -> Float[Tensor, "*N S"]:
    """Return the Euclidean projection on the simplex (Martins & Astudillo 2016, algorithm 1)."""
    return _Sparsemax.apply(scores)  # type: ignore[no-untyped-call, no-any-return]


def entmax15(scores: Float[Tensor, "*N S"]) -> Float[Tensor, "*N S"]:
    """Return entmax of alpha 1.5 (Peters 2019, algorithm 2)."""
    return _Entmax15.apply(scores)  # type: ignore[no-untyped-call, no-any-return]


def entmax(scores: Float[Tensor, "*N S"], alpha: Float[Tensor, ""]) -> Float[Tensor, "*N S"]:
    """Return entmax of any alpha above 1, which may be learned (Correia 2019, section 3.1).

    Args:
        scores: z.
        alpha: the order.
    """
    return _Entmax.apply(scores, alpha)  # type: ignore[no-untyped-call, no-any-return]


def _through(gradient: Tensor, slope: Tensor) -> Tensor:
    """Multiply a gradient by the Jacobian that these maps share, ``diag(s) - s s^T / sum(s)``."""
    mean = (gradient * slope).sum(-1, keepdim=True) / slope.sum(-1, keepdim=True)
    return slope * (gradient - mean)


def _ranks(scores: Tensor) -> Tensor:
    return torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)


def _size(inside: Tensor) -> Tensor:
    """Return the size of the support, at least 1: only NaN scores give 0, and they stay NaN."""
    return inside.sum(-1, keepdim=True).clamp(min=1)


class _Exact(Function):
    """A map whose forward pass saves s of its Jacobian (see `_through`)."""

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (slope,) = ctx.saved_tensors
        return _through(gradients[0], slope)


class _Sparsemax(_Exact):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        shifted = scores - scores.amax(-1, keepdim=True)
        ordered = shifted.sort(-1, descending=True).values
        total = ordered.cumsum(-1) - 1
        ranks = _ranks(scores)
        support = _size(ranks * ordered > total)
        threshold = total.gather(-1, support - 1) / support
        probabilities = (shifted - threshold).clamp(min=0)
        ctx.save_for_backward((probabilities > 0).to(probabilities.dtype))
        return probabilities


class _Entmax15(_Exact):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        # Scores more than 2 below the best are outside every support.
        halved = ((scores - scores.amax(-1, keepdim=True)) / 2).clamp(min=-2)
        ordered = halved.sort(-1, descending=True).values
        ranks = _ranks(scores)
        mean = ordered.cumsum(-1) / ranks
        spread = ranks * (ordered.square().cumsum(-1) / ranks - mean.square())
        thresholds = mean - ((1 - spread) / ranks).clamp(min=0).sqrt()
        support = _size(thresholds <= ordered)
        root = (halved - thresholds.gather(-1, support - 1)).clamp(min=0)
        ctx.save_for_backward(root)
        return root.square()


class _Entmax(Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, alpha: Tensor) -> Tensor:
        power = 1 / (alpha - 1)
        scaled = (scores - scores.amax(-1, keepdim=True)) * (alpha - 1)
        # At -1 the best score has probability one. At the upper end, the sum is one if all scores
        # are equal to the best.
        low = torch.full_like(scaled[..., :1], -1.0)
        width = 1 - torch.full_like(low, scores.shape[-1]) ** (1 - alpha)
        for _ in range(_NUM_BISECTIONS):
            width = width / 2
            enough = (scaled - (low + width)).clamp(min=0).pow(power).sum(-1, keepdim=True) >= 1
            low = torch.where(enough, low + width, low)
        probabilities = (scaled - low).clamp(min=0).pow(power)
        probabilities = probabilities / probabilities.sum(-1, keepdim=True)
        ctx.save_for_backward(probabilities, alpha)
        return probabilities

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        probabilities, alpha = ctx.saved_tensors
        inside = probabilities > 0
        slope = torch.where(inside, probabilities.pow(2 - alpha), 0.0)
        d_scores = _through(gradients[0], slope)
        if not ctx.needs_input_grad[1]:
            return d_scores, None
        # Correia 2019, proposition 1, with a separate entropy term for each probability. Near
        # alpha 1 it is the small difference of two large terms, so float64.
        exact, order = probabilities.double(), alpha.double()
        slope = torch.where(inside, exact.pow(2 - order), 0.0)
        terms = torch.where(inside, exact * exact.log(), 0.0)
        share = slope / slope.sum(-1, keepdim=True)
        first = (exact - share) / (order - 1).square()
        second = (terms - share * terms.sum(-1, keepdim=True)) / (order - 1)
        d_alpha = (gradients[0] * (first - second)).sum().reshape(alpha.shape)
        return d_scores, d_alpha.to(alpha.dtype)
