"""What every encoder is: vectors of the source in, a memory for the decoder out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn

from nmt.nn.shapes import Mask


@dataclass(frozen=True)
class EncoderOutput:
    """What the source became.

    Attributes:
        states: `[B S H]`, one vector for each source token (what stands at padding means nothing).
        final: `[B L H]`, each layer after its last token; both directions side by side.
        mask: `[B S]`, True = a real token.
    """

    states: Float[Tensor, "B S H"]
    final: Float[Tensor, "B L H"]
    mask: Bool[Tensor, "B S"]


class Encoder(nn.Module, ABC):
    """Reads the source.

    Attributes:
        output_size: H, numbers in one of the vectors that come out.
    """

    output_size: int

    @abstractmethod
    def forward(self, embedded: Float[Tensor, "B S E"], mask: Mask) -> EncoderOutput:
        """Encode sources padded on the right; padding changes nothing."""
