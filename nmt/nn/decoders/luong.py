"""The decoder of Luong 2015: step first, then attend."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.attention import AnyMemory, AnyPast, Attended
from nmt.nn.decoders.decoder import Decoded, Decoder, DecoderParts, DecoderState, Steps
from nmt.nn.decoders.fast_path import looking_at, tape_of, weight_of, why_stepwise
from nmt.nn.fused.luong import fused_luong
from nmt.nn.layers.initialization import initialize_linear


class LuongDecoder(Decoder):
    """Attend with the new state; the attentional vector is the output, and may be fed back.

    ``h_t = cell([y_{t-1}; h~_{t-1}], h_{t-1})``, ``c_t = attend(h_t)``,
    ``h~_t = tanh(W_c [c_t; h_t])`` (Luong 2015, eq. 5 and section 3.3).

    Args:
        parts: what it is made of; the top layer attends, and O is that of the attentional vector.
        input_feeding: feed the attentional vector to the next step. Without it the steps do not
            wait for the attention, and all words are attended at once.
        fused: with input feeding, run all words as one autograd node where there is one for the
            parts (one layer of GRU or LSTM; additive score or a product; softmax); False takes the
            plain loop.
    """

    def __init__(
        self, parts: DecoderParts, *, input_feeding: bool = True, fused: bool = True
    ) -> None:
        super().__init__(parts)
        self.why_stepwise = why_stepwise(fused, parts, self.layers) if input_feeding else None
        self.fed_to_gates: nn.Module | None = None
        if input_feeding:
            self.fed_size = parts.output_size
            self.fed_to_gates = self.layers[0].gates_from(parts.output_size)
        self.combine = nn.Linear(parts.value_size + self.hidden_size, parts.output_size)
        initialize_linear(self.combine)

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        """Go on from `state` through T words."""
        if self.fed_to_gates is None:
            return self._at_once(embedded, state)
        # One word at a time there is nothing to fuse, and the weights would be merged each time.
        if self.why_stepwise is None and embedded.shape[1] > 1:
            return self._fused(self.fed_to_gates, embedded, state)
        return self._with_feeding(self.fed_to_gates, embedded, state)

    def _at_once(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        outputs, recurrent = self._unroll(embedded, state)
        vectors, attended = self._attend(outputs, state.memory, state.past)
        after = replace(state, recurrent=recurrent, past=attended.past)
        return Decoded(vectors, attended.weights, after, attended.choice)

    def _fused(
        self, fed_to_gates: nn.Module, embedded: Float[Tensor, "B T E"], state: DecoderState
    ) -> Decoded:
        cell = self.layers[0]
        assert state.fed is not None
        vectors, states, weights = fused_luong(
            tape_of(cell),
            cell.project(embedded),
            state.recurrent[:, 0],
            state.fed,
            looking_at(self.attention, state.memory),
            (cell.weight_hidden, cell.bias_hidden),
            weight_of(fed_to_gates),
            (self.combine.weight, self.combine.bias),
        )
        after = replace(state, recurrent=states[:, -1:], fed=vectors[:, -1])
        return Decoded(vectors, weights, after)

    def _with_feeding(
        self, fed_to_gates: nn.Module, embedded: Float[Tensor, "B T E"], state: DecoderState
    ) -> Decoded:
        assert state.fed is not None
        projected, keep = self.layers[0].project(embedded), self._keep(state)
        recurrent, fed, past = list(state.recurrent.unbind(1)), state.fed, state.past
        steps = Steps()
        for step in range(embedded.shape[1]):
            gates = projected[:, step] + fed_to_gates(fed)
            output, recurrent = self._step(gates, recurrent, keep)
            vector, attended = self._attend(output.unsqueeze(1), state.memory, past)
            fed, past = vector.squeeze(1), attended.past
            steps.add(fed, attended)
        vectors, _, weights, choice = steps.stack()
        after = replace(state, recurrent=torch.stack(recurrent, dim=1), fed=fed, past=past)
        return Decoded(vectors, weights, after, choice)

    def _attend(
        self, outputs: Float[Tensor, "B T H"], memory: AnyMemory, past: AnyPast
    ) -> tuple[Float[Tensor, "B T O"], Attended]:
        """The attentional vectors, and what was seen."""
        attended: Attended = self.attention(outputs, memory, past)
        together = torch.cat([attended.context, outputs], dim=-1)
        return torch.tanh(self.combine(together)), attended
