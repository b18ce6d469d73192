"""Gated recurrent units."""

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from nmt.nn.layers import initialize_gates
from nmt.nn.recurrent.cell import Cell, CellTape
from nmt.nn.shapes import Gates, Hidden, State


class GRU(Cell):
    """Gated recurrent unit (Cho 2014), in the form of cuDNN and PyTorch.

    ``r = sigmoid(x_r + U_r h)``, ``z = sigmoid(x_z + U_z h)``, ``n = tanh(x_n + r * U_n h)``,
    ``h' = (1 - z) * n + z * h``. The reset gate is applied after the product (in Cho 2014 before
    it), so that one product with the state serves all three gates.

    Args:
        input_size: size of an input.
        hidden_size: H.
        fused: run whole sequences as one autograd node; false: always run the plain loop.
    """

    gate_names = ("reset_gate", "update_gate", "candidate")
    kept_gate = "update_gate"

    def __init__(self, input_size: int, hidden_size: int, *, fused: bool = True) -> None:
        super().__init__(input_size, hidden_size, num_gates=3, state_size=hidden_size)
        if not fused:
            self.drop_fast_path("fused: false of the cell")

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """Return the next state."""
        # Under autocast the initial zero state is float32, but the gates are not.
        state = state.to(projected.dtype)
        _, update, candidate = self.gate_values(projected, state, dropout_mask)
        return torch.lerp(candidate, state, update)

    def gate_values(
        self, projected: Gates, state: State, dropout_mask: Hidden | None = None
    ) -> tuple[Hidden, Hidden, Hidden]:
        """Return r, z and n."""
        hidden = self.project_hidden(state, dropout_mask)
        input_r, input_z, input_n = projected.chunk(3, dim=-1)
        hidden_r, hidden_z, hidden_n = hidden.chunk(3, dim=-1)
        reset = torch.sigmoid(input_r + hidden_r)
        update = torch.sigmoid(input_z + hidden_z)
        return reset, update, torch.tanh(input_n + reset * hidden_n)


class GRUTape(CellTape):
    """`GRU` steps with hand-written derivatives (docs/fused.md); time-major.

    Args:
        states: `[T+1 B H]`, the state before each step, and after the last.
        gates: `[T B 2H]`, r and z.
        candidates: `[T B H]`, n.
        hidden: `[T B H]`, ``u_n``.
    """

    state_width = 1
    saved_widths = (2, 1, 1)

    def __init__(self, states: Tensor, gates: Tensor, candidates: Tensor, hidden: Tensor) -> None:
        super().__init__(states, gates, candidates, hidden)
        self.gates, self.candidates, self.hidden_candidates = gates, candidates, hidden

    def step(self, t: int, inputs: Gates, hidden: Gates) -> Hidden:
        """Return the state after step t."""
        size = self.size
        # r, z = sigmoid(x + u)
        gate = torch.add(inputs[:, : 2 * size], hidden[:, : 2 * size], out=self.gates[t])
        gate.sigmoid_()
        # n = tanh(x_n + r * u_n)
        self.hidden_candidates[t] = hidden[:, 2 * size :]
        candidate = torch.addcmul(
            inputs[:, 2 * size :], gate[:, :size], self.hidden_candidates[t], out=self.candidates[t]
        ).tanh_()
        # h' = (1 - z) * n + z * h
        return torch.lerp(candidate, self.states[t], gate[:, size:], out=self.states[t + 1])

    def backward(self, t: int, d_after: Hidden, d_inputs: Gates, d_hidden: Gates) -> Hidden:
        """Backpropagate through step t; see `CellTape.backward`."""
        size, gates = self.size, self.gates[t]
        of_candidate, of_reset, of_update = self._factors(t)
        # d x_n = d h' * (1 - z) * (1 - n^2)
        d_candidate = torch.mul(d_after, of_candidate, out=d_inputs[:, 2 * size :])
        # d x_r = d x_n * u_n * r * (1 - r)
        torch.mul(d_candidate, of_reset, out=d_inputs[:, :size])
        # d x_z = d h' * (h - n) * z * (1 - z)
        torch.mul(d_after, of_update, out=d_inputs[:, size : 2 * size])
        # d u_r = d x_r, d u_z = d x_z
        d_hidden[:, : 2 * size] = d_inputs[:, : 2 * size]
        # d u_n = d x_n * r
        torch.mul(d_candidate, gates[:, :size], out=d_hidden[:, 2 * size :])
        # d h = d h' * z, except through u
        return d_after * gates[:, size:]

    def _factors_of(self, steps: slice) -> tuple[Tensor, ...]:
        reset, update = torch.split(self.gates[steps], self.size, dim=-1)
        candidates = self.candidates[steps]
        closed = 1 - update
        return (
            closed * (1 - candidates * candidates),
            self.hidden_candidates[steps] * reset * (1 - reset),
            (self.states[steps] - candidates) * update * closed,
        )


class DeepGRU(GRU):
    """A GRU with several transitions in each step; only the first reads the input (Pascanu 2014).

    ``h_1 = GRU(x, h)``, ``h_k = GRU(0, h_{k-1})``, ``h' = h_depth``, with other weights in each
    transition. Stacked in layers it is the BiDeep architecture (Miceli Barone 2017).

    Args:
        input_size: size of an input.
        hidden_size: H.
        depth: transitions in each step.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, depth: Annotated[int, Ge(1), Le(100)] = 2
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.transitions = nn.ModuleList([_Transition(hidden_size) for _ in range(depth - 1)])

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """Return the next state."""
        state = super().forward(projected, state, dropout_mask)
        for transition in self.transitions:
            state = transition(state, dropout_mask)
        return state


class _Transition(nn.Module):
    """A GRU transition without an input."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(hidden_size, 3 * hidden_size)
        self.candidate_bias = nn.Parameter(torch.zeros(hidden_size))
        initialize_gates(self.hidden.weight, 3, nn.init.orthogonal_)
        nn.init.zeros_(self.hidden.bias)

    def forward(self, state: Hidden, dropout_mask: Hidden | None) -> Hidden:
        read = state if dropout_mask is None else state * dropout_mask
        reset, update, candidate = self.hidden(read).chunk(3, dim=-1)
        # Under autocast the bias is float32, but the rest is not.
        bias = self.candidate_bias.to(candidate.dtype)
        candidate = torch.tanh(bias + torch.sigmoid(reset) * candidate)
        return torch.lerp(candidate, state.to(candidate.dtype), torch.sigmoid(update))


GRU.fast_path = GRUTape  # set here: the tape is defined after the plain code
