"""Decoders that attend at each step and read words from state, word and context together."""

from abc import abstractmethod
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.attention import AnyPast, Attended
from nmt.nn.decoders.decoder import Decoded, Decoder, DecoderParts, DecoderState, Steps
from nmt.nn.layers.initialization import initialize_linear


class DeepOutputDecoder(Decoder):
    """``o_t = tanh(W_s s_t + W_y y_{t-1} + W_c c_t)`` (deep output: Pascanu 2014).

    Args:
        parts: what it is made of.
    """

    def __init__(self, parts: DecoderParts) -> None:
        super().__init__(parts)
        self.state_to_output = nn.Linear(self.hidden_size, parts.output_size)
        self.word_to_output = nn.Linear(parts.input_size, parts.output_size, bias=False)
        self.context_to_output = nn.Linear(parts.value_size, parts.output_size, bias=False)
        for linear in (self.state_to_output, self.word_to_output, self.context_to_output):
            initialize_linear(linear)

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        """Go on from `state` through T words."""
        projected, keep = self.layers[0].project(embedded), self._keep(state)
        recurrent, past = list(state.recurrent.unbind(1)), state.past
        steps = Steps()
        for step in range(embedded.shape[1]):
            output, attended, recurrent = self._attend_and_step(
                projected[:, step], recurrent, keep, state, past
            )
            past = attended.past
            steps.add(output, attended)
        outputs, contexts, weights, choice = steps.stack()
        vectors = self._deep_output(outputs, embedded, contexts)
        after = replace(state, recurrent=torch.stack(recurrent, dim=1), past=past)
        return Decoded(vectors, weights, after, choice)

    @abstractmethod
    def _attend_and_step(
        self,
        projected: Float[Tensor, "B G"],
        recurrent: list[Tensor],
        keep: list[Tensor | None],
        state: DecoderState,
        past: AnyPast,
    ) -> tuple[Float[Tensor, "B H"], Attended, list[Tensor]]:
        """One step: what the top shows, what was seen, and the states of all layers."""

    def _deep_output(
        self,
        outputs: Float[Tensor, "B T H"],
        embedded: Float[Tensor, "B T E"],
        contexts: Float[Tensor, "B T C"],
    ) -> Float[Tensor, "B T O"]:
        return torch.tanh(
            self.state_to_output(outputs)
            + self.word_to_output(embedded)
            + self.context_to_output(contexts)
        )
