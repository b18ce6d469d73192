"""The encoder of grids: each cell is embedded independently, with its position."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.encoders.encoder import Encoder, EncoderOutput
from nmt.nn.layers import Dropout, initialize_linear
from nmt.nn.shapes import Mask, Values


class GridEmbedding(nn.Module):
    """The vector of a cell: `tanh(W features + r[row] + c[column])`, a 2-D position embedding.

    Args:
        channels: C, features of a cell.
        size: H.
        max_rows: rows that have a vector.
        max_columns: columns that have a vector.
    """

    def __init__(self, channels: int, size: int, *, max_rows: int, max_columns: int) -> None:
        super().__init__()
        self.features = nn.Linear(channels, size)
        self.rows = nn.Embedding(max_rows, size)
        self.columns = nn.Embedding(max_columns, size)
        initialize_linear(self.features)
        for table in (self.rows, self.columns):
            nn.init.normal_(table.weight, std=0.5)

    def forward(self, cells: Float[Tensor, "B S D"]) -> Values:
        """Return the vectors of cells given as D = C + 2 numbers: channels, row, column."""
        features, row, column = cells[..., :-2], cells[..., -2].long(), cells[..., -1].long()
        return torch.tanh(self.features(features) + self.rows(row) + self.columns(column))


class GridEncoder(Encoder):
    """Encoder of a grid: the states are the vectors of its cells, the final state is their mean.

    Args:
        size: H.
        dropout: on the vectors.
    """

    def __init__(self, size: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.output_size = size
        self.dropout = Dropout(dropout)

    def forward(self, embedded: Values, mask: Mask) -> EncoderOutput:
        """Return states `[B S H]` and final `[B 1 H]`; padding does not affect the result."""
        states = self.dropout(embedded)
        weight = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return EncoderOutput(states, mean.unsqueeze(1), mask)
