"""An encoder from outside the package: a convolution over the word vectors."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor, nn

from nmt.nn.encoders.encoder import Encoder, EncoderOutput


class ConvolutionalEncoder(Encoder):
    """One convolution over the word vectors (Gehring 2017); the final state is the mean.

    Args:
        input_size: E.
        hidden_size: size of a state.
        reach: words on each side of a word that its state depends on.
    """

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: Annotated[int, Ge(1)] = 256,
        reach: Annotated[int, Ge(0)] = 1,
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(input_size, hidden_size, 2 * reach + 1, padding=reach)

    @classmethod
    def output_size(cls, options: Mapping[str, Any]) -> int:
        """Return the size of a state."""
        return int(options["hidden_size"])

    def forward(self, embedded: Tensor, mask: Tensor) -> EncoderOutput:
        """Encode sentences padded on the right."""
        real = mask.unsqueeze(-1).to(embedded.dtype)
        words = (embedded * real).transpose(1, 2)  # [B E S]
        states = torch.tanh(self.convolution(words).transpose(1, 2))
        mean = (states * real).sum(dim=1) / real.sum(dim=1)
        return EncoderOutput(states, mean.unsqueeze(1), mask)
