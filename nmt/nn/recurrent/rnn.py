"""The plain recurrent network."""

from typing import Final, Literal

import torch
from torch import nn

from nmt.nn.recurrent.cell import Cell
from nmt.nn.shapes import Gates, Hidden, State

# Standard deviation of the input weights of an unbounded (ReLU) state.
_SMALL: Final = 0.01


class PlainRNN(Cell):
    """``h' = f(x + U h)`` (Elman 1990).

    With ReLU, U starts as the identity, so that the initial network keeps its state (Le 2015). The
    input weights start small, so that the unbounded state does not grow with the sentence length.
    For the same reason U changes slowly: it is ``I + V / sqrt(H)``, where V is learned. One step of
    Adam can change the largest singular value of a matrix by H times the learning rate. If the
    largest singular value of U exceeds 1, the state grows with each word.

    Args:
        input_size: size of an input.
        hidden_size: H.
        activation: f.
    """

    is_plain = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        activation: Literal["tanh", "relu"] = "tanh",
    ) -> None:
        super().__init__(input_size, hidden_size, num_gates=1, state_size=hidden_size)
        self.activation = activation
        if activation == "relu":
            nn.init.zeros_(self.weight_hidden)
            nn.init.normal_(self.weight_input, std=_SMALL)

    def gates_from(self, size: int) -> nn.Module:
        """Return a layer from `[*N size]` to `[*N G]` for a further input to the sum."""
        layer = super().gates_from(size)
        if self.activation == "relu":
            nn.init.normal_(layer.get_parameter("weight"), std=_SMALL)
        return layer

    def project_hidden(self, hidden: Hidden, dropout_mask: Hidden | None) -> Gates:
        """Return what the state adds to the sum."""
        if self.activation == "tanh":
            return super().project_hidden(hidden, dropout_mask)
        # Dropout on V's input only: on the state it would scale by 1 / (1 - p) with each word.
        return hidden + super().project_hidden(hidden * self.hidden_size**-0.5, dropout_mask)

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """Return the next state."""
        summed = projected + self.project_hidden(state, dropout_mask)
        return torch.tanh(summed) if self.activation == "tanh" else torch.relu(summed)
