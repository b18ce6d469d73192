"""What every decoder is: words in, vectors out, any number of words at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.core.coverage import Coverage
from nmt.nn.attention.alignments.alignment import SampledAlignment
from nmt.nn.attention.attention import AnyAttentionState, AnyMemory, AttentionOutput, BaseAttention
from nmt.nn.layers.dropout import Dropout
from nmt.nn.recurrent.recurrent import Cell


@dataclass(frozen=True)
class DecoderState:
    """All that the next step needs; batch is dimension 0 of every tensor in it.

    Attributes:
        recurrent: `[B L Z]`, the state of each layer.
        input_feed: `[B F]`, the attentional vector that is fed back (input feeding), or None.
        memory: what the attention looks at.
        attention: what the attention remembers of the steps before.
        dropout_mask: `[B L H]`, of recurrent dropout, the same for all words; None: no dropout.
        coverage: what attention has done so far; None: nobody asked.
    """

    recurrent: Float[Tensor, "B L Z"]
    input_feed: Float[Tensor, "B F"] | None
    memory: AnyMemory
    attention: AnyAttentionState = None
    dropout_mask: Float[Tensor, "B L H"] | None = None
    coverage: Coverage | None = None


@dataclass(frozen=True)
class DecoderOutput:
    """What a decoder gives for each target position, and where it stopped.

    Attributes:
        vectors: `[B T O]`, what the projection to the vocabulary reads.
        weights: `[B T S]`, where the attention looked.
        state: from which the next call goes on.
        sampled: how likely the positions were that an alignment has sampled, if one has.
    """

    vectors: Float[Tensor, "B T O"]
    weights: Float[Tensor, "B T S"]
    state: DecoderState
    sampled: SampledAlignment | None = None


@dataclass(frozen=True)
class LayerOptions:
    """How the recurrent layers of a decoder are stacked.

    Attributes:
        num_layers: L.
        dropout: on the states between layers.
        recurrent_dropout: on what each layer reads of its own state, the same numbers at each step
            of a sentence (Gal & Ghahramani 2016).
        residual: add what goes into a layer, above the first, to what comes out (Wu 2016).
    """

    num_layers: int = 1
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    residual: bool = False


@dataclass(frozen=True)
class DecoderParts:
    """What a decoder is made of, whatever its wiring.

    Attributes:
        make_cell: makes a cell from its input size; called for each layer.
        attention: where it looks; made for the states of these cells.
        input_size: E, numbers in an embedded word.
        value_size: H of the memory.
        output_size: O, numbers in the vectors that come out.
        layers: how many, and how they are stacked.
    """

    make_cell: Callable[[int], Cell]
    attention: BaseAttention
    input_size: int
    value_size: int
    output_size: int
    layers: LayerOptions


class Decoder(nn.Module, ABC):
    """Writes the target, any number of words at a time: T calls of one word = one call of T.

    Args:
        parts: what it is made of.
    """

    uses_attention: ClassVar[bool] = True
    """Whether it reads the source at each step; else its first state is all it has of it."""

    input_feed_size: int | None = None
    """Numbers that are fed from each step to the next; None: nothing is."""

    slow_path_reason: str | None = None
    """What makes training run it word by word, the slow path; None: nothing does."""

    def __init__(self, parts: DecoderParts) -> None:
        super().__init__()
        layers = parts.layers
        first = parts.make_cell(parts.input_size)
        upper_size = self.upper_size(first, parts.value_size)
        upper = [parts.make_cell(upper_size) for _ in range(layers.num_layers - 1)]
        self.cells = nn.ModuleList([first, *upper])
        self.attention = parts.attention
        self.dropout = Dropout(layers.dropout)
        self.recurrent_dropout = Dropout(layers.recurrent_dropout)
        self.residual = layers.residual
        self.hidden_size = first.hidden_size
        self.state_size = first.state_size

    def upper_size(self, first: Cell, value_size: int) -> int:
        """Numbers that go into a layer above the first."""
        return first.hidden_size

    @property
    def layers(self) -> list[Cell]:
        """The cells, the lowest first."""
        return [cast(Cell, cell) for cell in self.cells]

    def start(self, recurrent: Float[Tensor, "B L Z"], memory: AnyMemory) -> DecoderState:
        """The state before the first word; zeros are fed to it, where something is fed back."""
        dropout_mask = self.recurrent_dropout.mask(recurrent[..., : self.hidden_size])
        input_feed = None
        if self.input_feed_size is not None:
            input_feed = recurrent.new_zeros(recurrent.shape[0], self.input_feed_size)
        return DecoderState(
            recurrent, input_feed, memory, self.attention.start(memory), dropout_mask
        )

    @abstractmethod
    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> DecoderOutput:
        """Go on from `state` through T words."""

    def _unroll(
        self, embedded: Float[Tensor, "B T E"], state: DecoderState
    ) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B L Z"]]:
        """All steps of all layers, one layer after the other: what the top shows, and the end."""
        inputs, final = embedded, []
        for layer, (cell, dropout_mask) in enumerate(
            zip(self.layers, self._dropout_masks(state), strict=True)
        ):
            below = inputs if layer == 0 else self.dropout(inputs)
            states = cell.unroll(
                cell.project(below), state.recurrent[:, layer], dropout_mask=dropout_mask
            )
            shown = cell.hidden(states)
            inputs = shown + inputs if self.residual and layer > 0 else shown
            final.append(states[:, -1])
        return inputs, torch.stack(final, dim=1)

    def _dropout_masks(self, state: DecoderState) -> list[Tensor | None]:
        """The masks of recurrent dropout, one for each layer."""
        return (
            [None] * len(self.cells)
            if state.dropout_mask is None
            else list(state.dropout_mask.unbind(1))
        )

    def _step(
        self,
        projected: Float[Tensor, "B G"],
        recurrent: list[Tensor],
        dropout_masks: list[Tensor | None],
    ) -> tuple[Float[Tensor, "B H"], list[Tensor]]:
        """One step of the stack: what its top shows, and the states of all layers."""
        first = self.layers[0]
        after = first(projected, recurrent[0], dropout_masks[0])
        output, upper = self._upper(first.hidden(after), recurrent, dropout_masks)
        return output, [after, *upper]

    def _upper(
        self,
        output: Float[Tensor, "B H"],
        recurrent: list[Tensor],
        dropout_masks: list[Tensor | None],
        context: Float[Tensor, "B C"] | None = None,
    ) -> tuple[Float[Tensor, "B H"], list[Tensor]]:
        """One step of the layers above the first, from what the first shows.

        Args:
            output: of the first layer.
            recurrent: the states of all layers.
            dropout_masks: of `_dropout_masks`.
            context: goes into each of them beside the output of the layer below.
        """
        states = []
        for cell, before, dropout_mask in zip(
            self.layers[1:], recurrent[1:], dropout_masks[1:], strict=True
        ):
            below = self.dropout(output)
            inputs = below if context is None else torch.cat([below, context], dim=-1)
            states.append(cell(cell.project(inputs), before, dropout_mask))
            shown = cell.hidden(states[-1])
            output = shown + output if self.residual else shown
        return output, states


@dataclass
class StepOutputs:
    """What the steps of a loop leave behind, to be put together at its end."""

    outputs: list[Tensor] = field(default_factory=list)
    contexts: list[Tensor] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    sampled: list[SampledAlignment] = field(default_factory=list)

    def add(self, output: Float[Tensor, "B H"], attended: AttentionOutput) -> None:
        """One step: what came out, and what was seen."""
        self.outputs.append(output)
        self.contexts.append(attended.context.squeeze(1))
        self.weights.append(attended.weights.squeeze(1))
        if attended.sampled is not None:
            self.sampled.append(attended.sampled)

    def stack(self) -> tuple[Tensor, Tensor, Tensor, SampledAlignment | None]:
        """Outputs `[B T H]`, contexts `[B T C]`, weights `[B T S]`, and what was sampled."""
        outputs, contexts, weights = (
            torch.stack(steps, dim=1) for steps in (self.outputs, self.contexts, self.weights)
        )
        return outputs, contexts, weights, SampledAlignment.cat(self.sampled)
