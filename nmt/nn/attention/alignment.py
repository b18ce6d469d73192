"""Alignment functions: given the scores, where does the decoder look?"""

from abc import ABC, abstractmethod
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class Alignment(nn.Module, ABC):
    """Turns scores into weights."""

    @abstractmethod
    def forward(
        self, scores: Float[Tensor, "B T S"], mask: Bool[Tensor, "B S"]
    ) -> Float[Tensor, "B T S"]:
        """Weights: zero where the mask is False; all zero where it is False everywhere."""


class SoftmaxAlignment(Alignment):
    """``exp(e_s) / sum_s' exp(e_s')`` over the real tokens (Bahdanau 2015, eq. 6)."""

    def forward(
        self, scores: Float[Tensor, "B T S"], mask: Bool[Tensor, "B S"]
    ) -> Float[Tensor, "B T S"]:
        """Weights: they sum to one."""
        real = mask.unsqueeze(1)
        # The least finite number, not -inf: a row without any real token must not become NaN.
        masked = scores.masked_fill(~real, torch.finfo(scores.dtype).min)
        return torch.softmax(masked, dim=-1) * real


ALIGNMENTS: Final[dict[str, type[Alignment]]] = {"softmax": SoftmaxAlignment}
