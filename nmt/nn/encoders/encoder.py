"""The interface of encoders: source vectors in, states for the attention out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn

from nmt.nn.shapes import Mask


@dataclass(frozen=True)
class EncoderOutput:
    """The encoded source.

    Attributes:
        states: `[B S H]`, one vector for each source token; vectors at padding are undefined.
        final: `[B L H]`, the final state of each layer; both directions are concatenated.
        mask: `[B S]`, True = a real token.
    """

    states: Float[Tensor, "B S H"]
    final: Float[Tensor, "B L H"]
    mask: Bool[Tensor, "B S"]


class Encoder(nn.Module, ABC):
    """Base class of encoders.

    Attributes:
        output_size: H, size of an output vector.
    """

    output_size: int

    @abstractmethod
    def forward(self, embedded: Float[Tensor, "B S E"], mask: Mask) -> EncoderOutput:
        """Encode sources padded on the right; padding does not affect the result."""
