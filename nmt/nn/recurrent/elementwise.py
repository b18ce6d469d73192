"""Cells without a product with the hidden state, which run over a sequence as a scan.

No unit of such a cell reads another unit. All gates and candidates of a sequence are computed at
once, and what is left for the loop over steps is elementwise: a running average
``s_t = f_t * s_{t-1} + (1 - f_t) * x~_t``.

The loop is written by hand, as one autograd node (docs/fused.md). A cumulative sum of logarithms
(Heinsen 2023) needs no loop, but takes about ten times as long on a CPU.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.nn.recurrent.cell import Cell, StartsTape
from nmt.nn.shapes import Hidden, State, StepMask, Steps


class ElementwiseCell(Cell):
    """Base class of cells whose state, or the memory in it, is a running average.

    ``s_t = f_t * s_{t-1} + (1 - f_t) * x~_t``, ``f_t = sigmoid(l_t + v * s_{t-1})``, where ``l_t``
    and ``x~_t`` depend on the inputs only, and v is a vector or zero.
    """

    is_elementwise: ClassVar[bool] = True
    gates_read_state: ClassVar[bool] = False

    @property
    def tape(self) -> StartsTape | None:
        """Return None: only the scan is written by hand."""
        return None

    @abstractmethod
    def averaging(self, projected: Float[Tensor, "*N G"]) -> tuple[Tensor, ...]:
        """Return l and x~ `[*N H]`, given what the inputs add to the gates, and further blocks."""

    def unroll(
        self,
        projected: Steps,
        state: State,
        mask: StepMask | None = None,
        dropout_mask: Hidden | None = None,
    ) -> Float[Tensor, "B T Z"]:
        """Return the states after each step; a masked step keeps the state."""
        if self.fast_path is None or torch.compiler.is_exporting():
            return super().unroll(projected, state, mask, dropout_mask)
        return self._scan(projected, state.to(projected.dtype), mask, dropout_mask)

    def _scan(
        self, projected: Steps, state: State, mask: StepMask | None, dropout_mask: Hidden | None
    ) -> Float[Tensor, "B T Z"]:
        """Run `unroll` without a loop over `forward`; only called if there is a fast path."""
        logits, candidates, *_ = self.averaging(projected)
        return scan(logits, candidates, state, mask)


def scan(
    logits: Float[Tensor, "B T H"],
    candidates: Float[Tensor, "B T H"],
    start: Hidden,
    mask: StepMask | None,
    weight: Hidden | None = None,
) -> Float[Tensor, "B T H"]:
    """Return ``s_t = f_t * s_{t-1} + (1 - f_t) * x~_t`` for all steps, as one autograd node.

    Args:
        logits: l, where ``f_t = sigmoid(l_t + v * s_{t-1})``.
        candidates: x~.
        start: s_0.
        mask: a masked step keeps the state; None: no step does.
        weight: v; None: zero.
    """
    states: Tensor = Scan.apply(logits, candidates, start, weight, mask)  # type: ignore[no-untyped-call]
    return states


class Scan(Function):
    """Autograd function of `scan`; batch-major, as it multiplies no matrices."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, candidates: Tensor, *given: Any) -> Tensor:
        """Return all states; `scan` describes the arguments."""
        start, weight, mask = given
        batch, num_steps, size = candidates.shape
        padding = None if mask is None else ~mask.unsqueeze(-1)
        states = candidates.new_empty(batch, num_steps + 1, size)
        states[:, 0] = start
        # f = sigmoid(l), and 1 at padding, so that s' = s there
        gates = torch.empty_like(logits) if weight is not None else torch.sigmoid(logits)
        if weight is None and padding is not None:
            gates.masked_fill_(padding, 1.0)
        for t in range(num_steps):
            gate, before = gates[:, t], states[:, t]
            if weight is not None:
                # f = sigmoid(l + v * s)
                torch.addcmul(logits[:, t], weight, before, out=gate).sigmoid_()
                if padding is not None:
                    gate.masked_fill_(padding[:, t], 1.0)
            # s' = f * s + (1 - f) * x~
            torch.lerp(candidates[:, t], before, gate, out=states[:, t + 1])
        ctx.save_for_backward(gates, candidates, states, weight)
        return states[:, 1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the arguments of `forward`."""
        gates, candidates, states, weight = ctx.saved_tensors
        before, closed = states[:, :-1], 1 - gates
        # d f / d l = f * (1 - f), d s' / d f = s - x~
        of_logits = (before - candidates).mul_(gates).mul_(closed)
        # d s' / d s = f + (s - x~) * f * (1 - f) * v
        carried = gates if weight is None else torch.addcmul(gates, of_logits, weight.unsqueeze(1))
        totals = torch.empty_like(candidates)
        total = torch.zeros_like(states[:, 0])
        for t in range(d_states.shape[1] - 1, -1, -1):
            # d s_t += d s_{t+1} * (d s_{t+1} / d s_t)
            torch.add(d_states[:, t], total, out=totals[:, t])
            total = totals[:, t] * carried[:, t]
        d_logits = of_logits.mul_(totals)
        # d v = sum_t d l_t * s_{t-1}
        d_weight = None if weight is None else (d_logits * before).sum(1)
        return d_logits, closed.mul_(totals), total, d_weight, None
