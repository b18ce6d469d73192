"""Simple recurrent units: a memory that is a running average, and an output that reads it."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nmt.nn.recurrent.elementwise import ElementwiseCell, Scan, scan
from nmt.nn.shapes import Gates, Hidden, State, StepMask, Steps


class _MemoryCell(ElementwiseCell):
    """Base class of cells with the state ``[h c]``, where c is the running average."""

    @abstractmethod
    def read(
        self,
        blocks: Sequence[Float[Tensor, "*N H"]],
        before: Float[Tensor, "*N H"],
        memory: Float[Tensor, "*N H"],
        dropout_mask: Float[Tensor, "*R H"] | None,
    ) -> Float[Tensor, "*N H"]:
        """Return h.

        Args:
            blocks: the further blocks of `averaging`.
            before: c before the step.
            memory: c after the step.
            dropout_mask: multiplies c in the gates.
        """

    def forget_weight(self, dropout_mask: Hidden | None) -> Float[Tensor, "*B H"] | None:
        """Return v of `ElementwiseCell`, times the mask; None: zero."""
        return None

    def hidden(self, state: Float[Tensor, "*N Z"]) -> Float[Tensor, "*N H"]:
        """Return h, the first half of the state."""
        return state[..., : self.hidden_size]

    def forward(self, projected: Gates, state: State, dropout_mask: Hidden | None = None) -> State:
        """Return the next state."""
        before = state[:, self.hidden_size :].to(projected.dtype)
        forget, candidate, *blocks = self._average(projected, before, dropout_mask)
        memory = torch.lerp(candidate, before, forget)
        return torch.cat([self.read(blocks, before, memory, dropout_mask), memory], dim=-1)

    def _average(
        self, projected: Gates, before: Hidden, dropout_mask: Hidden | None
    ) -> tuple[Hidden, ...]:
        """Return f, x~ and the further blocks."""
        logits, *others = self.averaging(projected)
        weight = self.forget_weight(dropout_mask)
        if weight is not None:
            logits = torch.addcmul(logits, weight.to(logits.dtype), before)
        return torch.sigmoid(logits), *others

    def _scan(
        self, projected: Steps, state: State, mask: StepMask | None, dropout_mask: Hidden | None
    ) -> Float[Tensor, "B T Z"]:
        first, start = state.chunk(2, dim=-1)
        logits, candidates, *blocks = self.averaging(projected)
        weight = self.forget_weight(dropout_mask)
        if weight is not None:
            weight = weight.to(start.dtype).expand_as(start)
        memory = scan(logits, candidates, start, mask, weight)
        before = torch.cat([start.unsqueeze(1), memory[:, :-1]], dim=1)
        step_mask = None if dropout_mask is None else dropout_mask.unsqueeze(1)
        hidden = self.read(blocks, before, memory, step_mask)
        hidden = hidden if mask is None else _hold(hidden, first, mask)
        return torch.cat([hidden, memory], dim=-1)


def _hold(
    hidden: Float[Tensor, "B T H"], first: Hidden, mask: Bool[Tensor, "B T"]
) -> Float[Tensor, "B T H"]:
    """Replace each masked step by the last one before it that is not masked, or by `first`."""
    batch, num_steps, _ = hidden.shape
    numbers = torch.arange(1, num_steps + 1, device=mask.device)
    last = (numbers * mask).cummax(dim=1).values  # 0: no step yet
    rows = last + (num_steps + 1) * torch.arange(batch, device=mask.device).unsqueeze(1)
    every = torch.cat([first.unsqueeze(1), hidden], dim=1).flatten(0, 1)
    return every.index_select(0, rows.flatten()).view_as(hidden)


class SRU(_MemoryCell):
    """Simple recurrent unit, whose gates read the memory elementwise (Lei 2018, section 3).

    ``f = sigmoid(x_f + v_f * c)``, ``c' = f * c + (1 - f) * x_c``, ``r = sigmoid(x_r + v_r * c)``,
    ``h' = r * c' + (1 - r) * x_h``. The state is ``[h c]``. The highway ``x_h`` is the input itself
    if it has H numbers, else a projection, as in the authors' code. Each further input to the
    gates, such as a context, adds a projection to it. The vectors v start at zero. Recurrent
    dropout acts on the memory that the gates read.

    Args:
        input_size: size of an input.
        hidden_size: H.
        fused: run whole sequences as one autograd node; false: always run the plain loop.
    """

    gate_names = ("forget_gate", "reset_gate", "candidate")
    kept_gate = "forget_gate"
    gates_read_state = True
    fast_path = Scan

    def __init__(self, input_size: int, hidden_size: int, *, fused: bool = True) -> None:
        super().__init__(input_size, hidden_size, num_gates=4, state_size=2 * hidden_size)
        self.passes_input = input_size == hidden_size
        if self.passes_input:  # without the last block, that of the highway
            size = 3 * hidden_size
            self.weight_input = nn.Parameter(self.weight_input.detach()[:size].clone())
            self.bias_input = nn.Parameter(self.bias_input.detach()[:size].clone())
        self.vectors = nn.Parameter(torch.zeros(2 * hidden_size))
        if not fused:
            self.drop_fast_path("fused: false of the cell")

    def project(self, inputs: Float[Tensor, "*N I"]) -> Float[Tensor, "*N G"]:
        """Return what the inputs add to the gates, the candidate and the highway."""
        projected = super().project(inputs)
        if not self.passes_input:
            return projected
        return torch.cat([projected, inputs.to(projected.dtype)], dim=-1)

    def averaging(self, projected: Float[Tensor, "*N G"]) -> tuple[Tensor, ...]:
        """Return ``x_f``, ``x_c``, ``x_r`` and ``x_h``."""
        forget, reset, candidate, highway = projected.chunk(4, dim=-1)
        return forget, candidate, reset, highway

    def forget_weight(self, dropout_mask: Hidden | None) -> Float[Tensor, "*B H"]:
        """Return ``v_f``, times the mask."""
        return _masked(self.vectors[: self.hidden_size], dropout_mask)

    def read(
        self,
        blocks: Sequence[Float[Tensor, "*N H"]],
        before: Float[Tensor, "*N H"],
        memory: Float[Tensor, "*N H"],
        dropout_mask: Float[Tensor, "*R H"] | None,
    ) -> Float[Tensor, "*N H"]:
        """Return h, the memory or the highway."""
        reset, highway = blocks
        return torch.lerp(highway, memory, self._reset(reset, before, dropout_mask))

    def gate_values(
        self, projected: Gates, state: State, dropout_mask: Hidden | None = None
    ) -> tuple[Hidden, Hidden, Hidden]:
        """Return f, r and ``x_c``."""
        before = state[:, self.hidden_size :].to(projected.dtype)
        forget, candidate, reset, _ = self._average(projected, before, dropout_mask)
        return forget, self._reset(reset, before, dropout_mask), candidate

    def _reset(
        self,
        inputs: Float[Tensor, "*N H"],
        before: Float[Tensor, "*N H"],
        dropout_mask: Float[Tensor, "*R H"] | None,
    ) -> Float[Tensor, "*N H"]:
        """Return r, given ``x_r``."""
        weight = _masked(self.vectors[self.hidden_size :], dropout_mask).to(before.dtype)
        return torch.sigmoid(torch.addcmul(inputs, weight, before))


def _masked(
    vector: Float[Tensor, " H"], dropout_mask: Float[Tensor, "*R H"] | None
) -> Float[Tensor, "*R H"]:
    return vector if dropout_mask is None else vector * dropout_mask


class SSRU(_MemoryCell):
    """Simpler simple recurrent unit, for fast decoders (Kim 2019).

    ``f = sigmoid(x_f)``, ``c' = f * c + (1 - f) * x_c``, ``h' = max(c', 0)``. The state is
    ``[h c]``.

    Args:
        input_size: size of an input.
        hidden_size: H.
        fused: run whole sequences as one autograd node; false: always run the plain loop.
    """

    gate_names = ("forget_gate", "candidate")
    kept_gate = "forget_gate"
    fast_path = Scan

    def __init__(self, input_size: int, hidden_size: int, *, fused: bool = True) -> None:
        super().__init__(input_size, hidden_size, num_gates=2, state_size=2 * hidden_size)
        if not fused:
            self.drop_fast_path("fused: false of the cell")

    def averaging(self, projected: Float[Tensor, "*N G"]) -> tuple[Tensor, Tensor]:
        """Return ``x_f`` and ``x_c``."""
        forget, candidate = projected.chunk(2, dim=-1)
        return forget, candidate

    def read(
        self,
        blocks: Sequence[Float[Tensor, "*N H"]],
        before: Float[Tensor, "*N H"],
        memory: Float[Tensor, "*N H"],
        dropout_mask: Float[Tensor, "*R H"] | None,
    ) -> Float[Tensor, "*N H"]:
        """Return the positive part of the memory."""
        return torch.relu(memory)

    def gate_values(
        self, projected: Gates, state: State, dropout_mask: Hidden | None = None
    ) -> tuple[Hidden, Hidden]:
        """Return f and ``x_c``."""
        before = state[:, self.hidden_size :].to(projected.dtype)
        forget, candidate = self._average(projected, before, dropout_mask)
        return forget, candidate
