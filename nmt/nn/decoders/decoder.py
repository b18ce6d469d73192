"""What every decoder is: words in, vectors out, any number of words at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.core.coverage import Coverage
from nmt.nn.attention.alignments.alignment import SampledAlignment
from nmt.nn.attention.attention import AnyAttentionState, AnyMemory, BaseAttention
from nmt.nn.layers import Dropout
from nmt.nn.recurrent.cell import Cell
from nmt.nn.shapes import Embedded


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
        state: for the next call.
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
    """Why training runs it word by word, the slow path; None: it has a fast one."""

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
    def forward(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        """Go on from `state` through T words."""

    def _unroll(
        self, embedded: Embedded, state: DecoderState
    ) -> tuple[Float[Tensor, "B T H"], Float[Tensor, "B L Z"]]:
        """Run all steps, layer by layer: the hidden states of the top, the last state of each."""
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
        """Return the mask of recurrent dropout of each layer."""
        masks = state.dropout_mask
        return [None] * len(self.cells) if masks is None else list(masks.unbind(1))
