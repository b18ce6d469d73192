"""Decoders that run word by word, and their fast path over all words at once."""

from abc import abstractmethod
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function

from nmt.nn.attention.attention import AnyAttentionState, AnyMemory, AttentionOutput
from nmt.nn.decoders.decoder import Decoder, DecoderOutput, DecoderParts, DecoderState
from nmt.nn.fused.decoder import run_fused
from nmt.nn.layers import initialize_linear
from nmt.nn.shapes import Contexts, Embedded, Gates, Hidden


@dataclass
class StepState:
    """What a loop over words carries from step to step; a `DecoderState` that steps change.

    Attributes:
        recurrent: `[B Z]` of each layer.
        input_feed: `[B F]`, or None.
        attention: what the attention remembers.
        memory: what the attention looks at.
        dropout_masks: `[B H]` of each layer, or None.
    """

    recurrent: list[Tensor]
    input_feed: Tensor | None
    attention: AnyAttentionState
    memory: AnyMemory
    dropout_masks: list[Tensor | None]


class StepwiseDecoder(Decoder):
    """A decoder whose steps wait for the attention of the step before, or of their own.

    Args:
        parts: what it is made of.
    """

    def forward(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        """Continue from `state` with T words."""
        # One word has nothing to fuse, and joining the weights would take time.
        if self.slow_path_reason is None and embedded.shape[1] > 1:
            return self._forward_fused(embedded, state)
        projected = self.layers[0].project(embedded)
        current = StepState(
            list(state.recurrent.unbind(1)),
            state.input_feed,
            state.attention,
            state.memory,
            self._dropout_masks(state),
        )
        outputs, attended = [], []
        for word in projected.unbind(1):
            output, seen = self._step(word, current)
            outputs.append(output)
            attended.append(seen)
        joined = AttentionOutput.cat(attended)
        vectors = self._read_out(torch.stack(outputs, dim=1), embedded, joined.context)
        after = replace(
            state,
            recurrent=torch.stack(current.recurrent, dim=1),
            input_feed=current.input_feed,
            attention=current.attention,
        )
        return DecoderOutput(vectors, joined.weights, after, joined.sampled)

    @abstractmethod
    def _step(self, word: Gates, state: StepState) -> tuple[Hidden, AttentionOutput]:
        """Run one step: its output and where it looked; `state` is changed in place.

        Args:
            word: what the word adds to the gates of the first layer.
            state: before the step, and after it.
        """

    @abstractmethod
    def _read_out(
        self, outputs: Float[Tensor, "B T H"], embedded: Embedded, contexts: Contexts
    ) -> Float[Tensor, "B T O"]:
        """Return the vectors that the projection to the vocabulary reads."""

    def _attend(self, query: Hidden, state: StepState) -> AttentionOutput:
        """Look once."""
        attended: AttentionOutput = self.attention(
            query.unsqueeze(1), state.memory, state.attention
        )
        state.attention = attended.state
        return attended

    def _step_layers(self, gates: Gates, state: StepState) -> Hidden:
        """Run one step of all layers: the hidden state of the top."""
        first = self.layers[0]
        state.recurrent[0] = first(gates, state.recurrent[0], state.dropout_masks[0])
        return self._step_upper(first.hidden(state.recurrent[0]), state)

    def _step_upper(
        self, hidden: Hidden, state: StepState, context: Float[Tensor, "B C"] | None = None
    ) -> Hidden:
        """Run one step of the layers above the first: the hidden state of the top.

        Args:
            hidden: of the first layer.
            state: before the step, and after it.
            context: goes into each of them, next to the output of the layer below.
        """
        for layer, cell in enumerate(self.layers[1:], start=1):
            below = self.dropout(hidden)
            inputs = below if context is None else torch.cat([below, context], dim=-1)
            after = cell(cell.project(inputs), state.recurrent[layer], state.dropout_masks[layer])
            state.recurrent[layer] = after
            hidden = cell.hidden(after) + hidden if self.residual else cell.hidden(after)
        return hidden

    def _find_slow_path_reason(self, parts: DecoderParts, *, fused: bool) -> str | None:
        """Return why these parts cannot run all words as one autograd node; None: they can."""
        if not fused:
            return "fused: false"
        if parts.layers.num_layers > 1:
            return f"{parts.layers.num_layers} layers"
        if parts.layers.recurrent_dropout > 0.0:
            return "recurrent dropout"
        return self.layers[0].slow_path_reason or self.attention.slow_path_reason

    def _forward_fused(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        """Do the same as one autograd node, where there is no `slow_path_reason`."""
        raise NotImplementedError(self.slow_path_reason)

    def _run_fused(
        self,
        function: type[Function],
        embedded: Embedded,
        state: DecoderState,
        hidden: Float[Tensor, "G H"],
        *others: Tensor,
    ) -> tuple[Tensor, ...]:
        """Run all words as one autograd node; the arguments are those of `run_fused`."""
        cell = self.layers[0]
        assert cell.tape is not None
        attention, words = self.attention.fused_inputs(state.memory), cell.project(embedded)
        return run_fused(
            function, cell.tape, attention, words, hidden, state.recurrent[:, 0], *others
        )


class DeepOutputDecoder(StepwiseDecoder):
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

    def _read_out(
        self, outputs: Float[Tensor, "B T H"], embedded: Embedded, contexts: Contexts
    ) -> Float[Tensor, "B T O"]:
        return torch.tanh(
            self.state_to_output(outputs)
            + self.word_to_output(embedded)
            + self.context_to_output(contexts)
        )
