"""The plain recurrent network."""

from typing import Final, Literal

import torch
from torch import nn

from nmt.nn.recurrent.cell import Cell
from nmt.nn.shapes import Gates, Hidden, State

# Standard deviation of what goes into a state that is never squashed.
_SMALL: Final = 0.01


class PlainRNN(Cell):
    """``h' = f(x + U h)`` (Elman 1990).

    With ReLU, U starts as the identity, so that the state is kept until something is learnt (Le
    2015), and the input weights start small, so that a state that is never squashed does not
    grow with the length of the sentence. For the same reason U moves slowly: it is
    ``I + V / sqrt(H)``, and V is what is learnt. One step of Adam moves the largest singular value
    of a matrix by up to H times the learning rate, and a U that goes beyond 1 makes a state that
    grows with each word.

    Args:
        input_size: numbers in one input.
        hidden_size: H.
        activation: f.
    """

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
        """Return a layer by which one more input, of that size, adds to the sum."""
        layer = super().gates_from(size)
        if self.activation == "relu":
            nn.init.normal_(layer.get_parameter("weight"), std=_SMALL)
        return layer

    def project_hidden(self, hidden: Hidden, dropout_mask: Hidden | None) -> Gates:
        """Return what the state adds to the sum."""
        if self.activation == "tanh":
            return super().project_hidden(hidden, dropout_mask)
        # Dropout is of what V reads: the state itself would grow by 1 / (1 - p) with each word.
        return hidden + super().project_hidden(hidden * self.hidden_size**-0.5, dropout_mask)

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """Return the next state."""
        summed = projected + self.project_hidden(state, dropout_mask)
        return torch.tanh(summed) if self.activation == "tanh" else torch.relu(summed)
