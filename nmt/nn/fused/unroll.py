"""A cell over a whole sequence as one autograd node: the fast path of `Cell.unroll`.

The plain loop leaves one weight gradient for each step, each a small product, to be added up. Here
the backward loop only carries the gradient of the state back and keeps the gradients of the gates;
one product over all steps turns them into the weight gradient (docs/fused.md).
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.nn.fused.cell_tape import CellTape
from nmt.nn.fused.matmul import addmm, addmm_, weight_gradient


def fused_unroll(
    cell_tape: type[CellTape],
    projected: Float[Tensor, "B T G"],
    state: Float[Tensor, "B Z"],
    weight: Float[Tensor, "G H"],
    bias: Float[Tensor, " G"],
    mask: Bool[Tensor, "B T"] | None,
) -> Float[Tensor, "B T Z"]:
    """Return the states of a cell after each step (see `Cell.unroll`).

    Under autocast all of it runs in the precision of `projected`.
    """
    dtype = projected.dtype
    steps = projected.transpose(0, 1).contiguous()
    real = None if mask is None else mask.t().unsqueeze(-1).to(dtype)
    with torch.autocast(projected.device.type, enabled=False):
        states: Tensor = _FusedUnroll.apply(  # type: ignore[no-untyped-call]
            cell_tape, steps, state.to(dtype), weight.to(dtype), bias.to(dtype), real
        )
    return states.transpose(0, 1)


class _FusedUnroll(Function):
    """Time-major: `[T B G]` in, `[T B Z]` out."""

    @staticmethod
    def forward(
        ctx: Any,
        cell_tape: type[CellTape],
        steps: Tensor,
        state: Tensor,
        weight: Tensor,
        bias: Tensor,
        real: Tensor | None,
    ) -> Tensor:
        cell = cell_tape.start(len(steps), state)
        transposed = weight.t()
        for t, step in enumerate(steps):
            # u = h U^T + b
            after = cell.step(t, step, addmm(bias, cell.hidden(t), transposed))
            if real is not None:
                # s' = s + m * (cell(s) - s)
                torch.lerp(cell.states[t], after, real[t], out=after)
        ctx.cell_tape = cell_tape
        ctx.save_for_backward(*cell.tensors(), weight, real)
        return cell.states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *saved, weight, real = ctx.saved_tensors
        (d_states,) = gradients
        cell: CellTape = ctx.cell_tape(*saved)
        d_inputs = weight.new_empty(*d_states.shape[:2], len(weight))
        d_hidden = torch.empty_like(d_inputs)
        d_state = torch.zeros_like(d_states[0])
        for t in range(len(d_states) - 1, -1, -1):
            d_after = d_state + d_states[t]
            # d cell(s) = d s' * m
            d_real = d_after if real is None else d_after * real[t]
            d_state = cell.backward(t, d_real, d_inputs[t], d_hidden[t])
            if real is not None:
                # d s += d s' * (1 - m)
                d_state += d_after - d_real
            # d h += d u U
            addmm_(d_state[:, : cell.size], d_hidden[t], weight)
        # d U = sum_t d u_t^T h_{t-1}, d b = sum_t d u_t
        d_weight = weight_gradient(d_hidden, cell.states[:-1, :, : cell.size])
        return None, d_inputs, d_state, d_weight, d_hidden.sum((0, 1)), None
