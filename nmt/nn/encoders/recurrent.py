"""The recurrent encoder of text."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias, cast

import torch
from annotated_types import Ge, Le, Lt
from jaxtyping import Float
from torch import Tensor, nn

from nmt.core.parts import PartOf
from nmt.nn.encoders.encoder import Encoder, EncoderOutput
from nmt.nn.layers import Dropout
from nmt.nn.recurrent.cell import Cell
from nmt.nn.recurrent.gru import GRU
from nmt.nn.shapes import Mask, Values

# A class of cells, or a function that makes a cell from its input size and its hidden size.
MakeCell: TypeAlias = Callable[[int, int], Cell]


class RecurrentEncoder(Encoder):
    """Recurrent encoder for text: layers in one or both directions (Schuster & Paliwal 1997).

    ``f_s = cell_f(x_s, f_{s-1})``, ``b_s = cell_b(x_s, b_{s+1})``, ``h_s = [f_s; b_s]``.

    Args:
        input_size: E.
        cell: recurrent cell of each layer and direction.
        hidden_size: hidden units of each layer and direction.
        num_layers: number of layers.
        bidirectional: read the sentence in both directions, and concatenate the states.
        dropout: dropout on the output of each layer.
        recurrent_dropout: dropout on the recurrent input of a cell, with the same mask at each step
            (Gal 2016).
        residual: add the input of each layer above the first to its output (Wu 2016).
    """

    def __init__(
        self,
        input_size: int,
        *,
        cell: Annotated[MakeCell, PartOf("CELLS")] = GRU,
        hidden_size: Annotated[int, Ge(1), Le(100_000)] = 256,
        num_layers: Annotated[int, Ge(1), Le(100)] = 1,
        bidirectional: bool = True,
        dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.2,
        recurrent_dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0,
        residual: bool = False,
    ) -> None:
        super().__init__()
        layers = []
        for _ in range(num_layers):
            cells = [cell(input_size, hidden_size) for _ in range(1 + bidirectional)]
            input_size = hidden_size * len(cells)
            layers.append(nn.ModuleList(cells))
        self.layers = nn.ModuleList(layers)
        self.dropout = Dropout(dropout)
        self.recurrent_dropout = Dropout(recurrent_dropout)
        self.residual = residual

    @classmethod
    def output_size(cls, options: Mapping[str, Any]) -> int:
        """Return the hidden units of both directions together."""
        return int(options["hidden_size"] * (1 + options["bidirectional"]))

    @classmethod
    def find_conflict(cls, options: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return `residual` if there is only one layer."""
        if options["residual"] and options["num_layers"] == 1:
            return "residual", "needs several layers; set num_layers to 2 or more"
        return None

    @classmethod
    def has_dropout(cls, options: Mapping[str, Any], *, reads_states: bool) -> bool:
        """Return whether dropout makes two training passes over a batch differ.

        `dropout` does not act on the final states of a single layer.
        """
        is_read = reads_states or options["num_layers"] > 1
        return bool(options["recurrent_dropout"] or (is_read and options["dropout"]))

    def forward(self, embedded: Float[Tensor, "B S E"], mask: Mask) -> EncoderOutput:
        """Encode sentences padded on the right; padding does not affect the result."""
        states, final = embedded, []
        for layer, cells in enumerate(self.layers):
            first, *backward = cast(list[Cell], cells)
            outputs = [self._read(first, states, mask)]
            ends = [outputs[0][:, -1]]
            for cell in backward:
                outputs.append(self._read(cell, states.flip(1), mask.flip(1)).flip(1))
                ends.append(outputs[1][:, 0])
            hidden = self.dropout(torch.cat(outputs, dim=-1))
            states = hidden + states if self.residual and layer > 0 else hidden
            final.append(torch.cat(ends, dim=-1))
        return EncoderOutput(states, torch.stack(final, dim=1), mask)

    def _read(self, cell: Cell, inputs: Float[Tensor, "B S I"], mask: Mask) -> Values:
        """Run one cell over the sequence from a zero state; masked steps keep the state."""
        start = inputs.new_zeros(inputs.shape[0], cell.state_size)
        dropout_mask = self.recurrent_dropout.mask(start[:, : cell.hidden_size])
        return cell.hidden(cell.unroll(cell.project(inputs), start, mask, dropout_mask))
