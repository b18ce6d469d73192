"""What every decoder is: words in, vectors out, any number of words at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.attention import Attention, Memory
from nmt.nn.dropout import Dropout
from nmt.nn.recurrent import Cell


@dataclass(frozen=True)
class DecoderState:
    """All that the next step needs; batch is dimension 0 of every tensor in it.

    Attributes:
        recurrent: `[B L Z]`, the state of each layer.
        fed: `[B F]`, the attentional vector that is fed back (input feeding), or None.
        memory: what the attention looks at.
    """

    recurrent: Float[Tensor, "B L Z"]
    fed: Float[Tensor, "B F"] | None
    memory: Memory


@dataclass(frozen=True)
class DecoderOutput:
    """What came out for each target position.

    Attributes:
        logits: `[B T V]`, before the softmax.
        weights: `[B T S]`, where the attention looked.
    """

    logits: Float[Tensor, "B T V"]
    weights: Float[Tensor, "B T S"]


@dataclass(frozen=True)
class Decoded:
    """What a decoder gives for each target position, and where it stopped.

    Attributes:
        vectors: `[B T O]`, what the projection to the vocabulary reads.
        weights: `[B T S]`, where the attention looked.
        state: from which the next call goes on.
    """

    vectors: Float[Tensor, "B T O"]
    weights: Float[Tensor, "B T S"]
    state: DecoderState


class Decoder(nn.Module, ABC):
    """Writes the target, any number of words at a time: T calls of one word = one call of T.

    Args:
        make_cell: makes a cell from its input size; called for each layer.
        attention: where it looks.
        input_size: E, numbers in an embedded word.
        value_size: H of the memory.
        output_size: O, numbers in the vectors that come out.
        num_layers: L.
        dropout: on the states between layers.
    """

    def __init__(
        self,
        make_cell: Callable[[int], Cell],
        attention: Attention,
        input_size: int,
        value_size: int,
        output_size: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        first = make_cell(input_size)
        upper = [make_cell(first.hidden_size) for _ in range(num_layers - 1)]
        self.cells = nn.ModuleList([first, *upper])
        self.attention = attention
        self.dropout = Dropout(dropout)
        self.hidden_size = first.hidden_size
        self.state_size = first.state_size

    @property
    def layers(self) -> list[Cell]:
        """The cells, the lowest first."""
        return [cast(Cell, cell) for cell in self.cells]

    def start(self, recurrent: Float[Tensor, "B L Z"], memory: Memory) -> DecoderState:
        """The state before the first word."""
        return DecoderState(recurrent, None, memory)

    @abstractmethod
    def forward(self, embedded: Float[Tensor, "B T E"], state: DecoderState) -> Decoded:
        """Go on from `state` through T words."""

    def _step(
        self, projected: Float[Tensor, "B G"], recurrent: list[Tensor]
    ) -> tuple[Float[Tensor, "B H"], list[Tensor]]:
        """One step of the stack: what its top shows, and the states of all layers."""
        first, *upper = self.layers
        after = [first(projected, recurrent[0])]
        output = first.output(after[0])
        for cell, before in zip(upper, recurrent[1:], strict=True):
            after.append(cell(cell.project(self.dropout(output)), before))
            output = cell.output(after[-1])
        return output, after
