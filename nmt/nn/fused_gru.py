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
        size = weight.shape[1]
        # What the backward pass needs of each step: the state before it, r and z, n, U_n h.
        before = steps.new_empty(len(steps) + 1, state.shape[0], size)
        before[0] = state
        gates = steps.new_empty(len(steps), state.shape[0], 2 * size)
        candidates = torch.empty_like(before[1:])
        hidden_candidates = torch.empty_like(candidates)
        transposed = weight.t()
        for t, step in enumerate(steps):
            hidden = torch.addmm(bias, before[t], transposed)
            gate = torch.add(step[:, : 2 * size], hidden[:, : 2 * size], out=gates[t]).sigmoid_()
            hidden_candidates[t] = hidden[:, 2 * size :]
            candidate = torch.addcmul(
                step[:, 2 * size :], gate[:, :size], hidden_candidates[t], out=candidates[t]
            ).tanh_()
            after = torch.lerp(candidate, before[t], gate[:, size:], out=before[t + 1])
            if keep is not None:
                torch.lerp(before[t], after, keep[t], out=after)
        ctx.save_for_backward(before, gates, candidates, hidden_candidates, weight, keep)
        return before[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        before, gates, candidates, hidden_candidates, weight, keep = ctx.saved_tensors
        (d_states,) = gradients
        size = weight.shape[1]
        d_input = torch.empty(*gates.shape[:2], 3 * size, dtype=gates.dtype, device=gates.device)
        d_hidden = torch.empty_like(d_input)
        reset, update = gates[..., :size], gates[..., size:]
        # The factors that need no recurrence, for all steps at once.
        of_candidate = (1 - update) * (1 - candidates * candidates)
        of_reset = hidden_candidates * reset * (1 - reset)
        of_update = (before[:-1] - candidates) * update * (1 - update)
        d_state = torch.zeros_like(before[0])
        for t in range(len(gates) - 1, -1, -1):
            d_after = d_state + d_states[t]
            d_real = d_after if keep is None else d_after * keep[t]
            d_candidate = torch.mul(d_real, of_candidate[t], out=d_input[t, :, 2 * size :])
            torch.mul(d_candidate, of_reset[t], out=d_input[t, :, :size])
            torch.mul(d_real, of_update[t], out=d_input[t, :, size : 2 * size])
            d_hidden[t, :, : 2 * size] = d_input[t, :, : 2 * size]
            torch.mul(d_candidate, reset[t], out=d_hidden[t, :, 2 * size :])
            through = d_real * update[t]
            if keep is not None:
                through += d_after - d_real
            d_state = torch.addmm(through, d_hidden[t], weight)
        flat = d_hidden.flatten(0, 1)
        d_weight = flat.t() @ before[:-1].flatten(0, 1)
        return d_input, d_state, d_weight, flat.sum(0), None
