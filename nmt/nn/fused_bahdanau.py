"""Additive attention and a GRU over all target words as one autograd node.

The fast path beside `bahdanau.BahdanauDecoder`'s plain loop, which it must equal. Only what depends
on the previous word is in the loops. The backward loop carries the gradient of the state back and
keeps the gradients of everything that a weight was multiplied with; each weight's gradient is then
one product over all steps. The tanh over the keys is computed again rather than kept: that takes
as long as reading it back would, and saves `T` times the memory.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.nn.gru_tape import GRUGradient, GRUTape


@dataclass(frozen=True)
class FusedWeights:
    """The parameters that act inside the loop.

    Attributes:
        query: `[K D]`, from the state to the query.
        direction: `[K]`, from the compared layer to the score.
        context: `[G C]`, from the context to the gates.
        hidden: `[G D]`, from the state to the gates.
        bias: `[G]`, of the gates.
    """

    query: Float[Tensor, "K D"]
    direction: Float[Tensor, " K"]
    context: Float[Tensor, "G C"]
    hidden: Float[Tensor, "G D"]
    bias: Float[Tensor, " G"]


def fused_bahdanau(
    projected: Float[Tensor, "B T G"],
    state: Float[Tensor, "B D"],
    keys: Float[Tensor, "B S K"],
    values: Float[Tensor, "B S C"],
    mask: Bool[Tensor, "B S"],
    weights: FusedWeights,
) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B T C"], Float[Tensor, "B T S"]]:
    """States, contexts and attention weights of each step, from projected inputs.

    Under autocast all of it runs in the precision of `projected`.
    """
    kind = projected.dtype
    merged = torch.cat([weights.query, weights.hidden]).to(kind)
    with torch.autocast(projected.device.type, enabled=False):
        states, contexts, attended = _FusedBahdanau.apply(  # type: ignore[no-untyped-call]
            projected.transpose(0, 1).contiguous(),
            state.to(kind),
            keys.to(kind),
            values.to(kind),
            mask,
            merged,
            weights.direction.to(kind),
            weights.context.to(kind),
            weights.bias.to(kind),
        )
    return states.transpose(0, 1), contexts.transpose(0, 1), attended.transpose(0, 1)


def _compare(keys: Tensor, query: Tensor, out: Tensor) -> Tensor:
    """``tanh(U h + W q)`` of one step, `[B S K]`, into a buffer: a fresh one would be paged in."""
    return torch.add(keys, query.unsqueeze(1), out=out).tanh_()


class _FusedBahdanau(Function):
    """Time-major: `[T B .]` in and out."""

    @staticmethod
    def forward(
        ctx: Any,
        steps: Tensor,
        state: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor,
        merged: Tensor,
        direction: Tensor,
        context_weight: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        tape = GRUTape.start(len(steps), state)
        batch, num_positions, num_keys = keys.shape
        queries = steps.new_empty(len(steps), batch, num_keys)
        contexts = steps.new_empty(len(steps), batch, values.shape[2])
        attended = steps.new_empty(len(steps), batch, num_positions)
        padding, least = ~mask, torch.finfo(steps.dtype).min
        merged_bias = torch.cat([bias.new_zeros(num_keys), bias])
        buffer = torch.empty_like(keys)
        for t, step in enumerate(steps):
            product = torch.addmm(merged_bias, tape.states[t], merged.t())
            queries[t] = product[:, :num_keys]
            scores = _compare(keys, queries[t], buffer) @ direction
            weights = torch.softmax(scores.masked_fill_(padding, least), dim=-1).mul_(mask)
            attended[t] = weights
            contexts[t] = torch.bmm(weights.unsqueeze(1), values).squeeze(1)
            inputs = torch.addmm(step, contexts[t], context_weight.t())
            tape.step(t, inputs, product[:, num_keys:])
        ctx.save_for_backward(
            *tape.tensors(),
            *(queries, contexts, attended, keys, values, merged, direction, context_weight),
        )
        return tape.states[1:], contexts, attended

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *saved, queries, contexts, attended, keys, values, merged, direction, context_weight = (
            ctx.saved_tensors
        )
        d_states, d_contexts_out, d_attended = gradients
        tape = GRUTape(*saved)
        through = GRUGradient(tape)
        num_keys = keys.shape[2]
        d_inputs = keys.new_empty(*d_states.shape[:2], len(context_weight))
        d_product = keys.new_empty(*d_states.shape[:2], len(merged))
        d_queries, d_hidden = d_product[..., :num_keys], d_product[..., num_keys:]
        d_contexts = torch.empty_like(contexts)
        d_keys, d_direction = torch.zeros_like(keys), torch.zeros_like(direction)
        d_state = torch.zeros_like(d_states[0])
        buffer = torch.empty_like(keys)
        for t in range(len(d_states) - 1, -1, -1):
            d_before = through.step(t, d_state + d_states[t], d_inputs[t], d_hidden[t])
            d_context = torch.addmm(
                d_contexts_out[t], d_inputs[t], context_weight, out=d_contexts[t]
            )
            d_weights = torch.bmm(values, d_context.unsqueeze(2)).squeeze(2) + d_attended[t]
            weights = attended[t]
            d_scores = weights * (d_weights - (weights * d_weights).sum(1, keepdim=True))
            compared = _compare(keys, queries[t], buffer)
            d_direction += d_scores.flatten() @ compared.flatten(0, 1)
            d_compared = compared.square_().neg_().add_(1).mul_(direction)
            d_compared.mul_(d_scores.unsqueeze(2))
            torch.sum(d_compared, dim=1, out=d_queries[t])
            d_keys += d_compared
            d_state = torch.addmm(d_before, d_product[t], merged)
        d_values = torch.bmm(attended.permute(1, 2, 0), d_contexts.transpose(0, 1))
        d_merged = d_product.flatten(0, 1).t() @ tape.states[:-1].flatten(0, 1)
        d_context_weight = d_inputs.flatten(0, 1).t() @ contexts.flatten(0, 1)
        d_bias = d_hidden.sum((0, 1))
        inner = (d_merged, d_direction, d_context_weight, d_bias)
        return d_inputs, d_state, d_keys, d_values, None, *inner
