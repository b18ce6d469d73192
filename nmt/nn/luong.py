"""The decoder of Luong 2015: step first, then attend."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.attention import Attention, Memory
from nmt.nn.decoder import Decoded, Decoder, DecoderState
from nmt.nn.initialization import initialize_linear
from nmt.nn.recurrent import Cell


class LuongDecoder(Decoder):
    """Attend with the new state; the attentional vector is the output, and may be fed back.

    ``h_t = cell([y_{t-1}; h~_{t-1}], h_{t-1})``, ``c_t = attend(h_t)``,
    ``h~_t = tanh(W_c [c_t; h_t])`` (Luong 2015, eq. 5 and section 3.3).

    Args:
        make_cell: makes a cell from its input size; called for each layer.
        attention: where it looks.
        input_size: E.
        value_size: H of the memory.
        output_size: O, numbers in the attentional vector.
        num_layers: L; the top layer attends.
        dropout: on the states between layers.
        input_feeding: feed the attentional vector to the next step. Without it the steps do not
            wait for the attention, and all words are attended at once.
    """

    def __init__(
        self,
        make_cell: Callable[[int], Cell],
        attention: Attention,
        input_size: int,
        value_size: int,
        output_size: int,
        num_layers: int,
        dropout: float,
        *,
        input_feeding: bool = True,
    ) -> None:
        super().__init__(
            make_cell, attention, input_size, value_size, output_size, num_layers, dropout
        )
        self.fed_size = output_size
        self.fed_to_gates: nn.Linear | None = None
        if input_feeding:
            self.fed_to_gates = self.layers[0].gates_from(output_size)
        self.combine = nn.Linear(value_size + self.hidden_size, output_size)
        initialize_linear(self.combine)

    def start(self, recurrent: Float[Tensor, "B L Z"], memory: Memory) -> DecoderState:
        """The state before the first word; a vector of zeros is fed to it."""
        fed = None
        if self.fed_to_gates is not None:
            fed = recurrent.new_zeros(len(recurrent), self.fed_size)
        return DecoderState(recurrent, fed, memory)

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        """Go on from `state` through T words."""
        if self.fed_to_gates is None:
            return self._at_once(embedded, state)
        return self._with_feeding(self.fed_to_gates, embedded, state)

    def _at_once(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        inputs, final = embedded, []
        for layer, cell in enumerate(self.layers):
            inputs = inputs if layer == 0 else self.dropout(inputs)
            states = cell.unroll(cell.project(inputs), state.recurrent[:, layer])
            inputs = cell.output(states)
            final.append(states[:, -1])
        vectors, weights = self._attend(inputs, state.memory)
        return Decoded(
            vectors, weights, DecoderState(torch.stack(final, dim=1), None, state.memory)
        )

    def _with_feeding(
        self, fed_to_gates: nn.Linear, embedded: Float[Tensor, "B T E"], state: DecoderState
    ) -> Decoded:
        assert state.fed is not None
        projected = self.layers[0].project(embedded)
        recurrent, fed = list(state.recurrent.unbind(1)), state.fed
        vectors, weights = [], []
        for step in range(embedded.shape[1]):
            gates = projected[:, step] + fed_to_gates(fed)
            output, recurrent = self._step(gates, recurrent)
            vector, weight = self._attend(output.unsqueeze(1), state.memory)
            fed = vector.squeeze(1)
            vectors.append(fed)
            weights.append(weight.squeeze(1))
        after = DecoderState(torch.stack(recurrent, dim=1), fed, state.memory)
        return Decoded(torch.stack(vectors, dim=1), torch.stack(weights, dim=1), after)

    def _attend(
        self, outputs: Float[Tensor, "B T H"], memory: Memory
    ) -> tuple[Float[Tensor, "B T O"], Float[Tensor, "B T S"]]:
        """The attentional vectors and the weights."""
        attended = self.attention(outputs, memory)
        together = torch.cat([attended.context, outputs], dim=-1)
        return torch.tanh(self.combine(together)), attended.weights
