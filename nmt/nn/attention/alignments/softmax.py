"""Alignments that spread over the whole source: softmax and its sparse kin."""

import math
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from nmt.core.errors import ConfigError
from nmt.nn.attention.alignments.alignment import (
    Alignment,
    AlignmentOutput,
    masked_softmax,
    subtract_max,
)
from nmt.nn.attention.alignments.entmax import entmax, entmax15, sparsemax
from nmt.nn.shapes import Mask, Queries, Scores


class SoftmaxAlignment(Alignment):
    """``exp(e_s / t) / sum_s' exp(e_s' / t)`` over the real tokens (Bahdanau 2015, eq. 6).

    Args:
        query_size: Q.
        temperature: t; below 1 the weights are sharper, above 1 flatter.
    """

    def __init__(
        self, query_size: int, *, temperature: Annotated[float, Ge(0.001), Le(1_000)] = 1.0
    ) -> None:
        super().__init__(query_size)
        self.temperature = temperature

    @property
    def slow_path_reason(self) -> str | None:
        """Why a decoder with this alignment has no fast path; None: it has one."""
        if type(self).forward is not SoftmaxAlignment.forward:
            return super().slow_path_reason
        return None if self.temperature == 1.0 else "the temperature of the softmax"

    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return weights that sum to one."""
        real = mask.unsqueeze(1)
        if self.temperature == 1.0:
            return AlignmentOutput(masked_softmax(scores, real))
        tempered = subtract_max(scores, real) / self.temperature
        return AlignmentOutput(masked_softmax(tempered, real).to(scores.dtype))


class SparsemaxAlignment(Alignment):
    """The nearest point on the simplex: most weights are exactly 0 (Martins & Astudillo 2016)."""

    is_sparse: ClassVar[bool] = True

    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return weights that sum to one."""
        real = mask.unsqueeze(1)
        return AlignmentOutput((sparsemax(subtract_max(scores, real)) * real).to(scores.dtype))


class EntmaxAlignment(Alignment):
    """Between softmax (alpha 1) and sparsemax (alpha 2) (Peters 2019).

    Args:
        query_size: Q.
        alpha: the order, 1.01 or more: the higher, the sparser.
        learn_alpha: learn the order, between 1.01 and 1.99, from `alpha` on (Correia 2019).

    Raises:
        ConfigError: a learned order would start outside of its range.
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
                    f"model.attention.alignment.alpha: {alpha:g}, but a learned order lies between "
                    f"{_MIN_ALPHA} and {_MAX_ALPHA}; set learn_alpha: false, or start at 1.5"
                )
            share = (alpha - _MIN_ALPHA) / (_MAX_ALPHA - _MIN_ALPHA)
            self.logit = nn.Parameter(torch.tensor(math.log(share / (1 - share))))

    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return weights that sum to one."""
        real = mask.unsqueeze(1)
        bounded = subtract_max(scores, real)
        if self.logit is not None:
            weights = entmax(bounded, self._learned(self.logit).to(bounded.dtype))
        elif self.alpha == 1.5:
            weights = entmax15(bounded)
        elif self.alpha == 2.0:
            weights = sparsemax(bounded)
        else:
            weights = entmax(bounded, bounded.new_tensor(self.alpha))
        return AlignmentOutput((weights * real).to(scores.dtype))

    def _learned(self, logit: Tensor) -> Tensor:
        return _MIN_ALPHA + (_MAX_ALPHA - _MIN_ALPHA) * torch.sigmoid(logit)


_MIN_ALPHA = 1.01
"""At 1 it is softmax, as a limit; nearer to it the power ``1 / (alpha - 1)`` loses all digits."""
_MAX_ALPHA = 1.99
