"""What decoders are made of, and what goes in and comes out."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from nmt.core.batch import Shared
from nmt.core.coverage import Coverage
from nmt.nn.attention.alignments.alignment import SampledAlignment
from nmt.nn.attention.attention import AnyAttentionState, AnyMemory, BaseAttention
from nmt.nn.recurrent.cell import Cell


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


@dataclass(frozen=True)
class AllowedTokens(Shared):
    """Which tokens of a restricted vocabulary each row may have: `[N U]`."""

    mask: Bool[Tensor, "N U"]


@dataclass(frozen=True)
class DecoderState:
    """All that the next step needs; batch is dimension 0 of every tensor in it.

    Attributes:
        recurrent: `[B L Z]`, the state of each layer.
        input_feed: `[B F]`, the attentional vector that is fed back (input feeding), or None.
        memory: what the attention looks at.
        attention: what the attention remembers of the steps before.
        dropout_mask: `[B L H]`, of recurrent dropout, the same for all words; None: no dropout.
        coverage: what attention has done so far; None: it is not added up.
        allowed: what each row may write; None: anything.
    """

    recurrent: Float[Tensor, "B L Z"]
    input_feed: Float[Tensor, "B F"] | None
    memory: AnyMemory
    attention: AnyAttentionState = None
    dropout_mask: Float[Tensor, "B L H"] | None = None
    coverage: Coverage | None = None
    allowed: AllowedTokens | None = None


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
