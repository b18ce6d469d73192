"""The coverage of a source by attention, which penalties of a search read."""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Coverage:
    """The attention of all steps so far, added up.

    Attributes:
        seen: `[N S]`, coverage c, the attention that each position has received; 1 at padding.
        again: `[N]`, attention to covered positions: ``sum_t sum_j min(a_tj, c_<t,j)``.
    """

    seen: Float[Tensor, "N S"]
    again: Float[Tensor, " N"]

    @classmethod
    def none(cls, mask: Bool[Tensor, "N S"], dtype: torch.dtype) -> Self:
        """Return the coverage before the first step; mask is True at positions of the source."""
        return cls((~mask).to(dtype), torch.zeros(len(mask), dtype=dtype, device=mask.device))

    def add(self, weights: Float[Tensor, "N T S"]) -> Self:
        """Return the coverage after T more steps."""
        before = self.seen.unsqueeze(1) + (weights.cumsum(dim=1) - weights)
        again = torch.minimum(weights, before).sum(dim=(1, 2))
        return type(self)(self.seen + weights.sum(dim=1), self.again + again)
