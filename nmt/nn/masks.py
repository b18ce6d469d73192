"""The one mask of the package: True = a real token."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def length_mask(lengths: Int[Tensor, " B"], size: int) -> Bool[Tensor, "B {size}"]:
    """True at the first `lengths[b]` of `size` positions of row b."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)
