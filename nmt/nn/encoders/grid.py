"""The encoder of grids: each cell is embedded independently, with its position."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Ge, Le, Lt
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

    def __init__(self, channels: int, size: int, max_rows: int, max_columns: int) -> None:
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
    """Encoder for grids of numbers such as pictures (data.train.grids): one vector per cell.

    ``h_s = tanh(W x_s + r[row] + c[column])`` (see `GridEmbedding`). The final state is their mean.

    Args:
        input_size: ignored, as the vectors come from `GridEmbedding`.
        channels: number of channels of a cell.
        hidden_size: size of the vector of a cell.
        max_rows: maximum number of rows of a grid.
        max_columns: maximum number of columns of a grid.
        dropout: dropout on the vectors of the cells.
    """

    reads = "grids"

    def __init__(
        self,
        input_size: int,
        *,
        channels: Annotated[int, Ge(1), Le(100_000)],
        hidden_size: Annotated[int, Ge(1), Le(100_000)] = 256,
        max_rows: Annotated[int, Ge(1), Le(10_000)] = 16,
        max_columns: Annotated[int, Ge(1), Le(10_000)] = 16,
        dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.2,
    ) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)

    @classmethod
    def output_size(cls, options: Mapping[str, Any]) -> int:
        """Return the size of the vector of a cell."""
        return int(options["hidden_size"])

    @classmethod
    def embedding(cls, options: Mapping[str, Any]) -> GridEmbedding:
        """Return the embedding of cells with their positions."""
        sizes = options["channels"], options["hidden_size"]
        return GridEmbedding(*sizes, options["max_rows"], options["max_columns"])

    def forward(self, embedded: Values, mask: Mask) -> EncoderOutput:
        """Return states `[B S H]` and final `[B 1 H]`; padding does not affect the result."""
        states = self.dropout(embedded)
        weight = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return EncoderOutput(states, mean.unsqueeze(1), mask)
