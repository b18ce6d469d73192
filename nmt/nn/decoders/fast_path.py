"""Which decoders run as one autograd node, and what such a one is given."""

from collections.abc import Sequence

from torch import Tensor, nn

from nmt.nn.attention.alignments.softmax import SoftmaxAlignment
from nmt.nn.attention.attention import AnyMemory, Attention, BaseAttention, Memory
from nmt.nn.attention.scores.additive import AdditiveScore, ConcatScore
from nmt.nn.attention.scores.multiplicative import DotScore, GeneralScore, ScaledDotScore
from nmt.nn.decoders.decoder import DecoderParts
from nmt.nn.fused.inputs import Looking
from nmt.nn.fused.tape import Tape
from nmt.nn.recurrent.recurrent import Cell

_SCORES = (AdditiveScore, ConcatScore, DotScore, ScaledDotScore, GeneralScore)


def slow_path_reason(fused: bool, parts: DecoderParts, cells: Sequence[Cell]) -> str | None:
    """What keeps a decoder of these parts from running all words as one autograd node.

    Args:
        fused: that is wanted.
        parts: what it is made of.
        cells: those that it steps with.

    Returns:
        The reason, in words; None: nothing does.
    """
    if not fused:
        return "fused: false"
    attention, layers = parts.attention, parts.layers
    if layers.num_layers > 1:
        return f"{layers.num_layers} layers"
    if layers.recurrent_dropout > 0.0:
        return "recurrent dropout"
    for cell in cells:
        if cell.tape is None:
            return f"the cell {type(cell).__name__}"
    if type(attention) is not Attention:
        return type(attention).__name__
    if type(attention.score) not in _SCORES:
        return f"the score {type(attention.score).__name__}"
    alignment = attention.alignment
    if type(alignment) is not SoftmaxAlignment:
        return f"the alignment {type(alignment).__name__}"
    if alignment.temperature != 1.0:
        return "the temperature of the softmax"
    return None


def tape_of(cell: Cell) -> type[Tape]:
    """Of a cell that `slow_path_reason` has nothing against."""
    assert cell.tape is not None
    return cell.tape


def looking_at(attention: BaseAttention, memory: AnyMemory) -> Looking:
    """What an attention that nothing is against looks at, and how."""
    assert isinstance(attention, Attention) and isinstance(memory, Memory)
    score = attention.score
    if not isinstance(score, AdditiveScore):
        return Looking(memory, None, None)
    return Looking(memory, score.query_projection.weight, score.vector())


def weight_of(layer: nn.Module) -> Tensor:
    """Of a linear layer, which `gates_from` of a cell with a tape is."""
    assert isinstance(layer, nn.Linear)
    return layer.weight
