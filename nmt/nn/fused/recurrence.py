"""A cell over a whole sequence as one autograd node: the fast path beside `recurrent.unroll`.

The plain loop leaves one weight gradient for each step, each a small product that is then added
up. Here the backward loop only carries the gradient of the state back, keeps the gradients of the
gates, and turns them into the weight gradient by one product over all steps.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.nn.fused.matmul import addmm, addmm_, weight_gradient
from nmt.nn.fused.tape import Tape


def fused_recurrence(
    kind: type[Tape],
    projected: Float[Tensor, "B T G"],
    state: Float[Tensor, "B Z"],
    weight: Float[Tensor, "G H"],
    bias: Float[Tensor, " G"],
    mask: Bool[Tensor, "B T"] | None,
) -> Float[Tensor, "B T Z"]:
    """The states of a cell after each step (see `recurrent.unroll`), from projected inputs.

    Under autocast all of it runs in the precision of `projected`.
    """
    number = projected.dtype
    steps = projected.transpose(0, 1).contiguous()
    real = None if mask is None else mask.t().unsqueeze(-1).to(number)
    with torch.autocast(projected.device.type, enabled=False):
        states = _FusedRecurrence.apply(  # type: ignore[no-untyped-call]
            kind, steps, state.to(number), weight.to(number), bias.to(number), real
        )
    assert isinstance(states, Tensor)
    return states.transpose(0, 1)


class _FusedRecurrence(Function):
    """Time-major: `[T B G]` in, `[T B Z]` out."""

    @staticmethod
    def forward(
        ctx: Any,
        kind: type[Tape],
        steps: Tensor,
        state: Tensor,
        weight: Tensor,
        bias: Tensor,
        real: Tensor | None,
    ) -> Tensor:
        tape = kind.start(len(steps), state)
        transposed = weight.t()
        for t, step in enumerate(steps):
            after = tape.step(t, step, addmm(bias, tape.shown(t), transposed))
            if real is not None:
                torch.lerp(tape.states[t], after, real[t], out=after)
        ctx.kind = kind
        ctx.save_for_backward(*tape.tensors(), weight, real)
        return tape.states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *saved, weight, real = ctx.saved_tensors
        (d_states,) = gradients
        tape: Tape = ctx.kind(*saved)
        through = tape.gradient()
        d_inputs = weight.new_empty(*d_states.shape[:2], len(weight))
        d_hidden = torch.empty_like(d_inputs)
        d_state = torch.zeros_like(d_states[0])
        for t in range(len(d_states) - 1, -1, -1):
            d_after = d_state + d_states[t]
            d_real = d_after if real is None else d_after * real[t]
            d_state = through.step(t, d_real, d_inputs[t], d_hidden[t])
            if real is not None:
                d_state += d_after - d_real
            addmm_(d_state[:, : tape.size], d_hidden[t], weight)
        d_weight = weight_gradient(d_hidden, tape.states[:-1, :, : tape.size])
        return None, d_inputs, d_state, d_weight, d_hidden.sum((0, 1)), None
