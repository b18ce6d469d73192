"""A GRU over a whole sequence as one autograd node: the fast path beside `recurrent.unroll`.

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

from nmt.nn.gru_tape import GRUGradient, GRUTape


def fused_gru(
    projected: Float[Tensor, "B T G"],
    state: Float[Tensor, "B H"],
    weight: Float[Tensor, "G H"],
    bias: Float[Tensor, " G"],
    mask: Bool[Tensor, "B T"] | None,
) -> Float[Tensor, "B T H"]:
    """The states of a GRU after each step (see `recurrent.GRU`), from projected inputs.

    Under autocast all of it runs in the precision of `projected`.
    """
    kind = projected.dtype
    steps = projected.transpose(0, 1).contiguous()
    keep = None if mask is None else mask.t().unsqueeze(-1).to(kind)
    with torch.autocast(projected.device.type, enabled=False):
        states = _FusedGRU.apply(  # type: ignore[no-untyped-call]
            steps, state.to(kind), weight.to(kind), bias.to(kind), keep
        )
    assert isinstance(states, Tensor)
    return states.transpose(0, 1)


class _FusedGRU(Function):
    """Time-major: `[T B G]` in, `[T B H]` out."""

    @staticmethod
    def forward(
        ctx: Any, steps: Tensor, state: Tensor, weight: Tensor, bias: Tensor, keep: Tensor | None
    ) -> Tensor:
        tape = GRUTape.start(len(steps), state)
        transposed = weight.t()
        for t, step in enumerate(steps):
            before = tape.states[t]
            after = tape.step(t, step, torch.addmm(bias, before, transposed))
            if keep is not None:
                torch.lerp(before, after, keep[t], out=after)
        ctx.save_for_backward(*tape.tensors(), weight, keep)
        return tape.states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *saved, weight, keep = ctx.saved_tensors
        (d_states,) = gradients
        tape = GRUTape(*saved)
        through = GRUGradient(tape)
        d_inputs = weight.new_empty(*d_states.shape[:2], len(weight))
        d_hidden = torch.empty_like(d_inputs)
        d_state = torch.zeros_like(d_states[0])
        for t in range(len(d_states) - 1, -1, -1):
            d_after = d_state + d_states[t]
            d_real = d_after if keep is None else d_after * keep[t]
            d_before = through.step(t, d_real, d_inputs[t], d_hidden[t])
            if keep is not None:
                d_before += d_after - d_real
            d_state = torch.addmm(d_before, d_hidden[t], weight)
        flat = d_hidden.flatten(0, 1)
        d_weight = flat.t() @ tape.states[:-1].flatten(0, 1)
        return d_inputs, d_state, d_weight, flat.sum(0), None
