"""Dropout whose masks are cheap on a CPU."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

_LANES = 4
"""16-bit numbers in one 64-bit draw."""


class Dropout(nn.Module):
    """Zeroes numbers at random and scales up the rest, only in training (Srivastava 2014).

    On a CPU torch draws one random number for each element, which costs as much as a matrix
    product does. Here one draw of 64 bits serves four elements, so the probability is rounded to
    a multiple of 1/65536.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, inputs: Float[Tensor, "*N"]) -> Float[Tensor, "*N"]:
        """The inputs with about `probability` of the numbers zeroed."""
        if not self.training or self.probability == 0.0:
            return inputs
        if inputs.device.type != "cpu":
            return nn.functional.dropout(inputs, self.probability)
        return inputs * self._mask(inputs)

    def mask(self, like: Float[Tensor, "*N"]) -> Float[Tensor, "*N"] | None:
        """What `forward` would multiply with, to be used several times; None: nothing is zeroed.

        One mask for all steps of a sequence is variational dropout (Gal & Ghahramani 2016).
        """
        if not self.training or self.probability == 0.0:
            return None
        if like.device.type != "cpu":
            return nn.functional.dropout(torch.ones_like(like), self.probability)
        return self._mask(like)

    def _mask(self, like: Tensor) -> Tensor:
        zeroed = min(round(self.probability * 2**16), 2**16 - 1)
        kept = _draw(like.shape) >= zeroed - 2**15
        return kept.to(like.dtype) * (2**16 / (2**16 - zeroed))


def _draw(shape: torch.Size) -> Tensor:
    """Uniform int16 numbers."""
    count = shape.numel()
    words = torch.empty(-(-count // _LANES), dtype=torch.int64)
    # The least int64 as lower bound: the default draws from 63 bits, and every fourth lane would
    # never be negative.
    words.random_(torch.iinfo(torch.int64).min, None)
    return words.view(torch.int16)[:count].view(shape)
