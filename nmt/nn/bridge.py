"""Bridges, which compute the decoder's initial state from the encoder output."""

from abc import ABC, abstractmethod
from typing import ClassVar, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.encoders.encoder import EncoderOutput
from nmt.nn.layers import Linear
from nmt.nn.shapes import Hidden


class Bridge(nn.Module, ABC):
    """Base class of bridges.

    Args:
        source_size: H of the encoder.
        state_size: Z, size of the state of one decoder layer.
        num_layers: L of the decoder.

    Attributes:
        reads_source: whether the initial state depends on the source.
        reads_states: whether it depends on the states at all positions, after their dropout.
    """

    reads_source: ClassVar[bool] = True
    reads_states: ClassVar[bool] = False

    def __init__(self, source_size: int, state_size: int, num_layers: int) -> None:
        super().__init__()
        self.state_size = state_size
        self.num_layers = num_layers

    @abstractmethod
    def forward(self, encoded: EncoderOutput) -> Float[Tensor, "B L Z"]:
        """Return the first state of each decoder layer."""


class FinalBridge(Bridge):
    """``tanh(W h_final)``, from the final states of the top layer (Bahdanau 2015, A.2.2)."""

    def __init__(self, source_size: int, state_size: int, num_layers: int) -> None:
        super().__init__(source_size, state_size, num_layers)
        self.projection = Linear(source_size, num_layers * state_size)

    def forward(self, encoded: EncoderOutput) -> Float[Tensor, "B L Z"]:
        """Return the first state of each decoder layer."""
        return self._states(encoded.final[:, -1])

    def _states(self, summary: Hidden) -> Float[Tensor, "B L Z"]:
        states = torch.tanh(self.projection(summary))
        return states.view(states.shape[0], self.num_layers, self.state_size)


class MeanBridge(FinalBridge):
    """``tanh(W mean_s(h_s))``, from the mean of all source states (dl4mt; Sennrich 2017)."""

    reads_states: ClassVar[bool] = True

    def forward(self, encoded: EncoderOutput) -> Float[Tensor, "B L Z"]:
        """Return the first state of each decoder layer."""
        weights = encoded.mask.to(encoded.states.dtype)
        total = torch.einsum("bsh,bs->bh", encoded.states, weights)
        mean = total / weights.sum(dim=1, keepdim=True).clamp(min=1.0)
        return self._states(mean)


class ZeroBridge(Bridge):
    """``s_0 = 0``, so that the decoder reads the source through the attention only."""

    reads_source: ClassVar[bool] = False

    def forward(self, encoded: EncoderOutput) -> Float[Tensor, "B L Z"]:
        """Return the first state of each decoder layer."""
        return encoded.final.new_zeros(encoded.final.shape[0], self.num_layers, self.state_size)


BRIDGES: Final[dict[str, type[Bridge]]] = {
    "final": FinalBridge,
    "mean": MeanBridge,
    "zero": ZeroBridge,
}
