"""The base classes of decoders: words in, vectors out, all words at once or word by word."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function

from nmt.nn.attention.attention import AnyMemory, AttentionOutput
from nmt.nn.decoders.interface import DecoderOutput, DecoderParts, DecoderState, StepState
from nmt.nn.fused.decoder import TapeKinds
from nmt.nn.fused.fast_path import FastPath
from nmt.nn.layers import Dropout, initialize_linear
from nmt.nn.shapes import Contexts, Embedded, Gates, Hidden, LayerStates, Outputs, Vectors


class Decoder(FastPath, nn.Module, ABC):
    """Base class of decoders; T calls with one word give the same result as one call with T words.

    Args:
        parts: the parts and their sizes.

    Attributes:
        uses_attention: whether it reads the source at each step; if not, only its initial state
            depends on the source.
        upper_layers_read_context: whether the layers above the first read the context, too.
        input_feed_size: size of the vector fed from each step to the next; None: no input feeding.
        fast_path: function that runs all words as one autograd node; None: the plain loop runs.
    """

    uses_attention: ClassVar[bool] = True
    upper_layers_read_context: ClassVar[bool] = False
    input_feed_size: int | None = None
    fast_path: type[Function] | None = None

    def __init__(self, parts: DecoderParts) -> None:
        super().__init__()
        layers = parts.layers
        first = parts.make_cell(parts.input_size)
        upper_size = first.hidden_size + parts.value_size * self.upper_layers_read_context
        upper = [parts.make_cell(upper_size) for _ in range(layers.num_layers - 1)]
        self.layers = [first, *upper]
        self.cells = nn.ModuleList(self.layers)
        self.attention = parts.attention
        self.dropout = Dropout(layers.dropout)
        self.recurrent_dropout = Dropout(layers.recurrent_dropout)
        self.residual = layers.residual
        self.hidden_size = first.hidden_size
        self.state_size = first.state_size

    @property
    def slow_path_reason(self) -> str | None:
        """Return why training runs word by word; None if it runs all words at once."""
        return None

    def start(self, recurrent: LayerStates, memory: AnyMemory) -> DecoderState:
        """Return the state before the first word; the input feed, if any, starts at zero."""
        dropout_mask = self.recurrent_dropout.mask(recurrent[..., : self.hidden_size])
        input_feed = None
        if self.input_feed_size is not None:
            input_feed = recurrent.new_zeros(recurrent.shape[0], self.input_feed_size)
        return DecoderState(
            recurrent, input_feed, memory, self.attention.start(memory), dropout_mask
        )

    @abstractmethod
    def forward(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        """Continue from `state` with T words."""

    def _unroll(self, embedded: Embedded, state: DecoderState) -> tuple[Outputs, LayerStates]:
        """Run all steps, layer by layer; return top hidden states and last state of each layer."""
        inputs, final = embedded, []
        masks = self._dropout_masks(state)
        for layer, (cell, mask) in enumerate(zip(self.layers, masks, strict=True)):
            below = inputs if layer == 0 else self.dropout(inputs)
            before = state.recurrent[:, layer]
            states = cell.unroll(cell.project(below), before, dropout_mask=mask)
            hidden = cell.hidden(states)
            inputs = hidden + inputs if self.residual and layer > 0 else hidden
            final.append(states[:, -1])
        return inputs, torch.stack(final, dim=1)

    def _dropout_masks(self, state: DecoderState) -> list[Tensor | None]:
        """Return the recurrent dropout mask of each layer."""
        masks = state.dropout_mask
        return [None] * len(self.layers) if masks is None else list(masks.unbind(1))


class StepwiseDecoder(Decoder):
    """A decoder that runs step by step, because a step depends on previous attention results.

    Args:
        parts: the parts and their sizes.
    """

    @property
    def slow_path_reason(self) -> str | None:
        """Return why training runs word by word; None if it runs all words at once."""
        parts: dict[str, nn.Module] = {"decoder": self, "cell": self.layers[0]}
        parts |= {"attention": self.attention, **dict(self.attention.named_children())}
        for kind, part in parts.items():
            if isinstance(part, FastPath) and part.fast_path is None:
                return part.slow_path_option or f"the {kind} {type(part).__name__}"
        if self.layers[0].tape is None:
            return f"the cell {type(self.layers[0]).__name__}"
        if len(self.layers) > 1:
            return f"{len(self.layers)} layers"
        return "recurrent dropout" if self.recurrent_dropout.probability > 0.0 else None

    def forward(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        """Continue from `state` with T words."""
        # With one word there is nothing to fuse, and joining the weights would take time.
        if embedded.shape[1] > 1 and self.slow_path_reason is None:
            return self._forward_fused(embedded, state)
        projected = self.layers[0].project(embedded)
        recurrent, masks = list(state.recurrent.unbind(1)), self._dropout_masks(state)
        current = StepState(recurrent, state.input_feed, state.attention, state.memory, masks)
        steps = [self._step(word, current) for word in projected.unbind(1)]
        outputs = torch.stack([output for output, _ in steps], dim=1)
        attended = AttentionOutput.cat([attended for _, attended in steps])
        vectors = self._read_out(outputs, embedded, attended.context)
        after = replace(
            state,
            recurrent=torch.stack(current.recurrent, dim=1),
            input_feed=current.input_feed,
            attention=current.attention,
        )
        return DecoderOutput(vectors, attended.weights, after, attended.sampled, attended.heads)

    @abstractmethod
    def _step(self, word: Gates, state: StepState) -> tuple[Hidden, AttentionOutput]:
        """Run one step; return its output and attention, and update `state` in place.

        Args:
            word: what the word adds to the gates of the first layer.
            state: updated in place.
        """

    @abstractmethod
    def _read_out(self, outputs: Outputs, embedded: Embedded, contexts: Contexts) -> Vectors:
        """Return the input of the projection to the vocabulary."""

    def _attend(self, query: Hidden, state: StepState) -> AttentionOutput:
        """Attend with one query, and update the attention state in place."""
        attended: AttentionOutput = self.attention(
            query.unsqueeze(1), state.memory, state.attention
        )
        state.attention = attended.state
        return attended

    def _step_first(self, gates: Gates, state: StepState) -> Hidden:
        """Run one step of the first layer and return its hidden state."""
        first = self.layers[0]
        state.recurrent[0] = first(gates, state.recurrent[0], state.dropout_masks[0])
        return first.hidden(state.recurrent[0])

    def _step_upper(
        self, hidden: Hidden, state: StepState, context: Float[Tensor, "B C"] | None = None
    ) -> Hidden:
        """Run one step of the layers above the first and return the top hidden state.

        Args:
            hidden: of the first layer.
            state: updated in place.
            context: input of each of these layers, concatenated to the output of the layer below.
        """
        for layer, cell in enumerate(self.layers[1:], start=1):
            below = self.dropout(hidden)
            inputs = below if context is None else torch.cat([below, context], dim=-1)
            after = cell(cell.project(inputs), state.recurrent[layer], state.dropout_masks[layer])
            state.recurrent[layer] = after
            hidden = cell.hidden(after) + hidden if self.residual else cell.hidden(after)
        return hidden

    def _forward_fused(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        """Run `forward` as one autograd node; only called if `slow_path_reason` is None."""
        raise NotImplementedError

    def _run_fused(
        self, embedded: Embedded, state: DecoderState, hidden: Float[Tensor, "G H"], *others: Tensor
    ) -> tuple[Tensor, ...]:
        """Run all words as one autograd node, in the precision of the projected words.

        The function of `fast_path` is time-major. Its arguments are, in this order: the
        `TapeKinds`, the projected words, the weight of a `JointProjection`, the state before the
        first word, `others`, and the `memory` of the `AttentionInputs`.

        Args:
            embedded: the words.
            state: before the first word.
            hidden: weight from the hidden state that also gives the query to the gates.
            others: further arguments of the function.

        Returns:
            The outputs of the function, batch-major.
        """
        cell, attended = self.layers[0], self.attention.fused_inputs(state.memory)
        assert self.fast_path and cell.tape
        joint = hidden if attended.query is None else torch.cat([attended.query, hidden])
        kinds = TapeKinds(cell.tape, attended)
        words = cell.project(embedded).transpose(0, 1).contiguous()
        given = joint, state.recurrent[:, 0], *others, *attended.memory
        converted = [None if tensor is None else tensor.to(words.dtype) for tensor in given]
        with torch.autocast(words.device.type, enabled=False):
            outputs = self.fast_path.apply(kinds, words, *converted)  # type: ignore[no-untyped-call]
        return tuple(output.transpose(0, 1) for output in outputs)


class DeepOutputDecoder(StepwiseDecoder):
    """``o_t = tanh(W_s s_t + W_y y_{t-1} + W_c c_t)`` (deep output: Pascanu 2014).

    Args:
        parts: the parts and their sizes.
    """

    def __init__(self, parts: DecoderParts) -> None:
        super().__init__(parts)
        self.state_to_output = nn.Linear(self.hidden_size, parts.output_size)
        self.word_to_output = nn.Linear(parts.input_size, parts.output_size, bias=False)
        self.context_to_output = nn.Linear(parts.value_size, parts.output_size, bias=False)
        for linear in (self.state_to_output, self.word_to_output, self.context_to_output):
            initialize_linear(linear)

    def _read_out(self, outputs: Outputs, embedded: Embedded, contexts: Contexts) -> Vectors:
        summed = self.state_to_output(outputs) + self.word_to_output(embedded)
        return torch.tanh(summed + self.context_to_output(contexts))

    def _forward_fused(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        states, contexts, weights = self._run_fused(embedded, state, *self._fused_weights())
        vectors = self._read_out(self.layers[0].hidden(states), embedded, contexts)
        return DecoderOutput(vectors, weights, replace(state, recurrent=states[:, -1:]))

    def _fused_weights(self) -> tuple[Tensor, ...]:
        """Return `hidden` and `others` of `_run_fused`; only called if there is a fast path."""
        raise NotImplementedError
