"""A cell: the simple recurrent network of Elman 1990."""

from torch import Tensor

from nmt.nn.recurrent.cell import Cell


class Elman(Cell):
    """``h' = tanh(gain * (x + U h))``.

    Args:
        input_size: size of an input.
        hidden_size: H.
        gain: the factor before tanh.
    """

    def __init__(self, input_size: int, hidden_size: int, *, gain: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, num_gates=1, state_size=hidden_size)
        self.gain = gain

    def forward(
        self, projected: Tensor, state: Tensor, dropout_mask: Tensor | None = None
    ) -> Tensor:
        """Return the next state."""
        hidden = self.project_hidden(state.to(projected.dtype), dropout_mask)
        return (self.gain * (projected + hidden)).tanh()
