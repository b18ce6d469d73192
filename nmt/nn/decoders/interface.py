"""The parts, options, states and outputs of decoders."""

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
    """Options of the stacked recurrent layers of a decoder.

    Attributes:
        num_layers: L.
        dropout: on the states between layers.
        recurrent_dropout: on the recurrent input of each layer, with one mask for all steps of a
            sentence (Gal & Ghahramani 2016).
        residual: add the input of each layer above the first to its output (Wu 2016).
    """

    num_layers: int = 1
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    residual: bool = False


@dataclass(frozen=True)
class DecoderParts:
    """The parts and sizes that every decoder is constructed from.

    Attributes:
        make_cell: makes a cell from its input size; called for each layer.
        attention: made for queries of the size of these cells.
        input_size: E, size of a word embedding.
        value_size: H of the memory.
        output_size: O, size of an output vector.
        layers: options of the recurrent layers.
    """

    make_cell: Callable[[int], Cell]
    attention: BaseAttention
    input_size: int
    value_size: int
    output_size: int
    layers: LayerOptions


@dataclass(frozen=True)
class AllowedTokens(Shared):
    """Tokens of a restricted vocabulary that each row may use, as a mask `[N U]`."""

    mask: Bool[Tensor, "N U"]


@dataclass(frozen=True)
class DecoderState:
    """The state between steps; batch is dimension 0 of every tensor in it.

    Attributes:
        recurrent: `[B L Z]`, the state of each layer.
        input_feed: `[B F]`, the attentional vector that is fed back (input feeding), or None.
        memory: the prepared source that the attention reads.
        attention: the attention state after the previous steps.
        dropout_mask: `[B L H]`, of recurrent dropout, the same for all words; None: no dropout.
        coverage: the attention weights accumulated so far; None: they are not accumulated.
        allowed: tokens that each row may use; None: all.
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
    """A mutable `DecoderState` for a loop over words.

    Attributes:
        recurrent: `[B Z]` for each layer.
        input_feed: `[B F]`, or None.
        attention: the attention state.
        memory: the prepared source that the attention reads.
        dropout_masks: `[B H]` or None for each layer.
    """

    recurrent: list[Tensor]
    input_feed: Tensor | None
    attention: AnyAttentionState
    memory: AnyMemory
    dropout_masks: list[Tensor | None]


@dataclass(frozen=True)
class DecoderOutput:
    """Output for each target position, and the state after them.

    Attributes:
        vectors: `[B T O]`, the input of the projection to the vocabulary.
        weights: `[B T S]`, the attention weights.
        state: for the next call.
        sampled: log-probabilities of sampled positions; None if nothing was sampled.
        heads: `[B T N S]`, the weights of each head; None: there is one.
    """

    vectors: Float[Tensor, "B T O"]
    weights: Float[Tensor, "B T S"]
    state: DecoderState
    sampled: SampledAlignment | None = None
    heads: Float[Tensor, "B T N S"] | None = None
