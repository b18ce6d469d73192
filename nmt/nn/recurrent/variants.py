"""Cells other than GRU and LSTM: the plain one, the layer-normalised, the deep one."""

from abc import abstractmethod
from typing import Annotated, Final, Literal

import torch
from annotated_types import Ge, Le
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.layers.initialization import initialize_hidden_gates
from nmt.nn.recurrent.recurrent import GRU, LSTM, Cell
from nmt.nn.shapes import Gates, Hidden, State

_SMALL: Final = 0.01
"""Standard deviation of what goes into a state that is never squashed."""


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
        """A layer by which one more input, of that size, adds to the sum."""
        layer = self._linear_gates(size)
        if self.activation == "relu":
            nn.init.normal_(layer.weight, std=_SMALL)
        return layer

    def project_hidden(self, hidden: Hidden, dropout_mask: Hidden | None) -> Gates:
        """What the state adds to the sum."""
        if self.activation == "tanh":
            return super().project_hidden(hidden, dropout_mask)
        # Dropout is of what V reads: the state itself would grow by 1 / (1 - p) with each word.
        return hidden + super().project_hidden(hidden * self.hidden_size**-0.5, dropout_mask)

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """One step: the next state."""
        summed = projected + self.project_hidden(state, dropout_mask)
        return torch.tanh(summed) if self.activation == "tanh" else torch.relu(summed)


class _LayerNormCell(Cell):
    """What the cells share whose sums are normalised before their gates."""

    norm_input: nn.Module
    norm_hidden: nn.Module

    @abstractmethod
    def _make_norm(self) -> nn.Module:
        """Make a normalisation of what goes to the gates."""

    def gates_from(self, size: int) -> nn.Module:
        """Make a layer by which one more input, of that size, adds to the gates."""
        return nn.Sequential(self._linear_gates(size), self._make_norm())

    def project(self, inputs: Float[Tensor, "*N I"]) -> Float[Tensor, "*N G"]:
        """Return what the inputs add to the gates."""
        normalized: Tensor = self.norm_input(super().project(inputs))
        return normalized

    def project_hidden(self, hidden: Hidden, dropout_mask: Hidden | None) -> Gates:
        """Return what the state adds to the gates."""
        normalized: Tensor = self.norm_hidden(super().project_hidden(hidden, dropout_mask))
        return normalized


class LayerNormGRU(_LayerNormCell, GRU):
    """A GRU whose sums are normalised before its gates (Ba 2016, eq. 20-22).

    What comes from the input, from a context and from the state have each normalisations of their
    own: one for both gates together, and one for the candidate.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, fused=False)
        self.norm_input = self._make_norm()
        self.norm_hidden = self._make_norm()

    def _make_norm(self) -> nn.Module:
        return _GRUNorm(self.hidden_size)


class _GRUNorm(nn.Module):
    """Normalises what goes to both gates together, and what goes to the candidate."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.gates = nn.LayerNorm(2 * hidden_size)
        self.candidate = nn.LayerNorm(hidden_size)

    def forward(self, summed: Float[Tensor, "*N G"]) -> Float[Tensor, "*N G"]:
        hidden_size = summed.shape[-1] // 3
        gates, candidate = summed[..., : 2 * hidden_size], summed[..., 2 * hidden_size :]
        return torch.cat([self.gates(gates), self.candidate(candidate)], dim=-1)


class LayerNormLSTM(_LayerNormCell, LSTM):
    """An LSTM whose sums are normalised before its gates, and its memory before it is squashed.

    (Ba 2016, eq. 29-31.)
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, fused=False)
        self.norm_input = norm_input = nn.LayerNorm(self.gate_size)
        self.norm_hidden = self._make_norm()
        self.norm_memory = nn.LayerNorm(hidden_size)
        with torch.no_grad():
            # The norm would cancel the bias of the forget gate: it belongs after the norm.
            norm_input.bias.copy_(self.bias_input)
            self.bias_input.zero_()

    def _make_norm(self) -> nn.Module:
        return nn.LayerNorm(self.gate_size)

    def squash(self, memory: Hidden) -> Hidden:
        """Return the memory as it goes to the output gate."""
        return torch.tanh(self.norm_memory(memory))


class DeepGRU(GRU):
    """A GRU of several transitions in one step; the input enters the first (Pascanu 2014).

    Stacked in layers it is the BiDeep architecture (Miceli Barone 2017).

    Args:
        input_size: numbers in one input.
        hidden_size: H.
        depth: transitions.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, depth: Annotated[int, Ge(1), Le(100)] = 2
    ) -> None:
        super().__init__(input_size, hidden_size, fused=False)
        self.transitions = nn.ModuleList([_Transition(hidden_size) for _ in range(depth - 1)])

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """One step: the next state."""
        state = super().forward(projected, state, dropout_mask)
        for transition in self.transitions:
            state = transition(state, dropout_mask)
        return state


class _Transition(nn.Module):
    """A GRU without an input."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(hidden_size, 3 * hidden_size)
        self.candidate_bias = nn.Parameter(torch.zeros(hidden_size))
        initialize_hidden_gates(self.hidden.weight, 3)
        nn.init.zeros_(self.hidden.bias)

    def forward(self, state: Hidden, dropout_mask: Hidden | None) -> Hidden:
        read = state if dropout_mask is None else state * dropout_mask
        reset, update, candidate = self.hidden(read).chunk(3, dim=-1)
        # Under autocast the bias is float32 and the rest is not.
        bias = self.candidate_bias.to(candidate.dtype)
        candidate = torch.tanh(bias + torch.sigmoid(reset) * candidate)
        return torch.lerp(candidate, state.to(candidate.dtype), torch.sigmoid(update))
