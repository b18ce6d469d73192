"""The decoder without attention: all that it knows of the source is its first state."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.attention import Attended, BaseAttention
from nmt.nn.decoder import Decoded, Decoder, DecoderState, Layers
from nmt.nn.initialization import initialize_linear
from nmt.nn.recurrent import Cell


class SutskeverDecoder(Decoder):
    """``h_t = cell(y_{t-1}, h_{t-1})``, ``o_t = tanh(W h_t)``, the source only in h_0.

    The baseline that shows why attention exists (Sutskever 2014). One fixed vector at every step
    (Cho 2014) is another wiring with `model.attention: null`.

    Args:
        make_cell: makes a cell from its input size; called for each layer.
        attention: none: a `FixedContext`, which is not read.
        input_size: E.
        value_size: H of the memory.
        output_size: O.
        layers: how many, and how they are stacked.
    """

    def __init__(
        self,
        make_cell: Callable[[int], Cell],
        attention: BaseAttention,
        input_size: int,
        value_size: int,
        output_size: int,
        layers: Layers,
    ) -> None:
        super().__init__(make_cell, attention, input_size, value_size, output_size, layers)
        self.state_to_output = nn.Linear(self.hidden_size, output_size)
        initialize_linear(self.state_to_output)

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        """Go on from `state` through T words."""
        outputs, recurrent = self._unroll(embedded, state)
        nothing: Attended = self.attention(outputs, state.memory)
        vectors = torch.tanh(self.state_to_output(outputs))
        return Decoded(vectors, nothing.weights, DecoderState(recurrent, None, state.memory))
