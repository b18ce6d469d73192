"""Masks: True = a real token, or the position that is meant."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def length_mask(lengths: Int[Tensor, " B"], size: int) -> Bool[Tensor, "B {size}"]:
    """True at the first `lengths[b]` of `size` positions of row b."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def position_mask(positions: Int[Tensor, "*N"], size: int) -> Bool[Tensor, "*N {size}"]:
    """True at one of `size` positions each."""
    # (Not by `one_hot`, whose size is fixed when it is exported.)
    return torch.arange(size, device=positions.device) == positions.unsqueeze(-1)
