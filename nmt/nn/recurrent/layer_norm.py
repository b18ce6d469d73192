"""Recurrent cells with layer normalisation before their gates (Ba 2016)."""

from abc import abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.recurrent.cell import Cell
from nmt.nn.recurrent.gru import GRU
from nmt.nn.recurrent.lstm import LSTM
from nmt.nn.shapes import Gates, Hidden


class _LayerNormCell(Cell):
    """Base class of cells with layer normalisation before their gates."""

    norm_input: Callable[[Tensor], Tensor]
    norm_hidden: Callable[[Tensor], Tensor]

    @abstractmethod
    def _make_norm(self) -> nn.Module:
        """Make the layer normalisation of a summand of the gates."""

    def gates_from(self, size: int) -> nn.Module:
        """Return a normalised layer, `[*N size]` to `[*N G]`, for a further input to the gates."""
        return nn.Sequential(super().gates_from(size), self._make_norm())

    def project(self, inputs: Float[Tensor, "*N I"]) -> Float[Tensor, "*N G"]:
        """Return what the inputs add to the gates."""
        return self.norm_input(super().project(inputs))

    def project_hidden(self, hidden: Hidden, dropout_mask: Hidden | None) -> Gates:
        """Return what the state adds to the gates."""
        return self.norm_hidden(super().project_hidden(hidden, dropout_mask))


class LayerNormGRU(_LayerNormCell, GRU):
    """A GRU with layer normalisation before its gates (Ba 2016, eq. 20-22).

    ``r, z = sigmoid(LN(x) + LN(U h))``, ``n = tanh(LN(x_n) + r * LN(U_n h))``,
    ``h' = (1 - z) * n + z * h``. Input, context and state are normalised
    separately. Each has one normalisation for both gates together, and one for the candidate.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.norm_input = self._make_norm()
        self.norm_hidden = self._make_norm()

    def _make_norm(self) -> nn.Module:
        return _GRUNorm(self.hidden_size)


class _GRUNorm(nn.Module):
    """Layer normalisation of both gates together, and of the candidate."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.gates = nn.LayerNorm(2 * hidden_size)
        self.candidate = nn.LayerNorm(hidden_size)

    def forward(self, summed: Float[Tensor, "*N G"]) -> Float[Tensor, "*N G"]:
        hidden_size = summed.shape[-1] // 3
        gates, candidate = summed[..., : 2 * hidden_size], summed[..., 2 * hidden_size :]
        return torch.cat([self.gates(gates), self.candidate(candidate)], dim=-1)


class LayerNormLSTM(_LayerNormCell, LSTM):
    """An LSTM with layer normalisation before its gates and of its memory (Ba 2016, eq. 29-31).

    ``[i f g o] = LN(x) + LN(U h)``, ``c' = sigmoid(f) * c + sigmoid(i) * tanh(g)``,
    ``h' = sigmoid(o) * tanh(LN(c'))``.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.norm_input = norm_input = nn.LayerNorm(self.gate_size)
        self.norm_hidden = self._make_norm()
        self.norm_memory = nn.LayerNorm(hidden_size)
        with torch.no_grad():
            # A bias before the norm would be normalised away, so the forget bias goes after it.
            norm_input.bias.copy_(self.bias_input)
            self.bias_input.zero_()

    def _make_norm(self) -> nn.Module:
        return nn.LayerNorm(self.gate_size)

    def squash(self, memory: Hidden) -> Hidden:
        """Return the normalised, squashed memory that the output gate multiplies."""
        return torch.tanh(self.norm_memory(memory))
