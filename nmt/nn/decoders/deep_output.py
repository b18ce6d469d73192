"""Decoders that attend at each step and read words from state, word and context together."""

from abc import abstractmethod
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.attention import AnyAttentionState, AttentionOutput
from nmt.nn.decoders.decoder import Decoder, DecoderOutput, DecoderParts, DecoderState, StepOutputs
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

    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> DecoderOutput:
        """Go on from `state` through T words."""
        projected, dropout_masks = self.layers[0].project(embedded), self._dropout_masks(state)
        recurrent, attention_state = list(state.recurrent.unbind(1)), state.attention
        steps = StepOutputs()
        for step in range(embedded.shape[1]):
            output, attended, recurrent = self._attend_and_step(
                projected[:, step], recurrent, dropout_masks, state, attention_state
            )
            attention_state = attended.state
            steps.add(output, attended)
        outputs, contexts, weights, sampled = steps.stack()
        vectors = self._deep_output(outputs, embedded, contexts)
        after = replace(state, recurrent=torch.stack(recurrent, dim=1), attention=attention_state)
        return DecoderOutput(vectors, weights, after, sampled)

    @abstractmethod
    def _attend_and_step(
        self,
        projected: Float[Tensor, "B G"],
        recurrent: list[Tensor],
        dropout_masks: list[Tensor | None],
        state: DecoderState,
        attention_state: AnyAttentionState,
    ) -> tuple[Float[Tensor, "B H"], AttentionOutput, list[Tensor]]:
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
