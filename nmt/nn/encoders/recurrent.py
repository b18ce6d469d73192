"""The recurrent encoder of text."""

from collections.abc import Callable
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.encoders.encoder import Encoder, EncoderOutput
from nmt.nn.layers import Dropout
from nmt.nn.recurrent.cell import Cell
from nmt.nn.shapes import Mask, Values


class RecurrentEncoder(Encoder):
    """A stack of recurrent layers, each in one direction or both (Schuster & Paliwal 1997).

    Args:
        make_cell: makes a cell from its input size; called for each layer and direction.
        input_size: E.
        num_layers: L.
        bidirectional: read in both directions; H is then twice the hidden size of a cell.
        dropout: on the output states of each layer.
        recurrent_dropout: on the recurrent input of each cell, with one mask for all steps
            (Gal & Ghahramani 2016).
        residual: add the input of each layer above the first to its output (Wu 2016).
    """

    def __init__(
        self,
        make_cell: Callable[[int], Cell],
        input_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        residual: bool = False,
    ) -> None:
        super().__init__()
        layers = []
        for _ in range(num_layers):
            cells = [make_cell(input_size) for _ in range(1 + bidirectional)]
            input_size = sum(cell.hidden_size for cell in cells)
            layers.append(nn.ModuleList(cells))
        self.layers = nn.ModuleList(layers)
        self.dropout = Dropout(dropout)
        self.recurrent_dropout = Dropout(recurrent_dropout)
        self.residual = residual
        self.output_size = input_size

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
