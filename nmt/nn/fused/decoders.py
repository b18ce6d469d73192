"""Decoders over all target words as one autograd node: the fast paths beside their plain loops.

Only what depends on the previous word is in the loops. The backward loop carries the gradient of
the state back and keeps the gradients of everything that a weight was multiplied with; each
weight's gradient is then one product over all steps. What a state is multiplied with, for the query
and for the gates, is one product where both read the same state.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.nn.fused.attention_tape import AttentionGradient, AttentionTape, Looked
from nmt.nn.fused.inputs import Given, Looking, Merged, pack, unpack
from nmt.nn.fused.matmul import addmm, addmm_, weight_gradient
from nmt.nn.fused.tape import Tape


class Seen(NamedTuple):
    """What a fused decoder gives, batch-major.

    Attributes:
        states: `[B T Z]`, after each step.
        contexts: `[B T C]`.
        weights: `[B T S]`.
    """

    states: Float[Tensor, "B T Z"]
    contexts: Float[Tensor, "B T C"]
    weights: Float[Tensor, "B T S"]


def fused_bahdanau(
    kind: type[Tape],
    projected: Float[Tensor, "B T G"],
    state: Float[Tensor, "B Z"],
    looking: Looking,
    context: Float[Tensor, "G C"],
    hidden: Float[Tensor, "G H"],
    bias: Float[Tensor, " G"],
) -> Seen:
    """Look with the state before, then step (`bahdanau.BahdanauDecoder`).

    Under autocast all of it runs in the precision of `projected`.

    Args:
        kind: of the cell.
        projected: what the words add to the gates.
        state: before the first word.
        looking: at what.
        context: from the context to the gates.
        hidden: from the state to the gates.
        bias: of the gates.
    """
    given = Given.of(projected, looking, hidden)
    with torch.autocast(projected.device.type, enabled=False):
        found = _FusedBahdanau.apply(  # type: ignore[no-untyped-call]
            *(kind, given.steps, state.to(given.number), *given.looked, given.merged),
            *(context.to(given.number), bias.to(given.number)),
        )
    return Seen(*(tensor.transpose(0, 1) for tensor in found))


def fused_conditional(
    kind: type[Tape],
    projected: Float[Tensor, "B T G"],
    state: Float[Tensor, "B Z"],
    looking: Looking,
    first: tuple[Float[Tensor, "G H"], Float[Tensor, " G"]],
    context: tuple[Float[Tensor, "G C"], Float[Tensor, " G"]],
    second: tuple[Float[Tensor, "G H"], Float[Tensor, " G"]],
) -> Seen:
    """Step, look, and step with what was seen (`conditional.ConditionalDecoder`).

    Args:
        kind: of both cells.
        projected: what the words add to the gates of the first.
        state: before the first word.
        looking: at what.
        first: from the state to the gates of the first cell, and their bias.
        context: from the context to the gates of the second, and their bias.
        second: from the state between to the gates of the second, and their bias.
    """
    given = Given.of(projected, looking, second[0])
    weights = [tensor.to(given.number) for tensor in (*first, *context, second[1])]
    with torch.autocast(projected.device.type, enabled=False):
        found = _FusedConditional.apply(  # type: ignore[no-untyped-call]
            kind, given.steps, state.to(given.number), *given.looked, given.merged, *weights
        )
    return Seen(*(tensor.transpose(0, 1) for tensor in found))


class _FusedBahdanau(Function):
    """Time-major: `[T B .]` in and out."""

    @staticmethod
    def forward(
        ctx: Any,
        kind: type[Tape],
        steps: Tensor,
        state: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor,
        direction: Tensor | None,
        merged_weight: Tensor,
        context_weight: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        tape = kind.start(len(steps), state)
        looked = Looked.start(len(steps), keys, values, mask, direction)
        attention = AttentionTape(looked)
        merged = Merged(merged_weight, len(bias))
        merged_bias = merged.bias(bias)
        for t, step in enumerate(steps):
            both = addmm(merged_bias, tape.shown(t), merged_weight.t())
            query, hidden = merged.split(both, tape.shown(t))
            context = attention.look(t, query)
            tape.step(t, addmm(step, context, context_weight.t()), hidden)
        pack(ctx, tape, looked, merged_weight, context_weight)
        return tape.states[1:], looked.contexts, looked.weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *saved, merged_weight, context_weight = ctx.saved_tensors
        tape, looked = unpack(ctx, saved)
        d_states, d_contexts, d_attended = gradients
        num_gates = len(context_weight)
        merged = Merged(merged_weight, num_gates)
        through, attention = tape.gradient(), AttentionGradient(looked)
        d_inputs = d_states.new_empty(*d_states.shape[:2], num_gates)
        d_product = d_states.new_empty(*d_states.shape[:2], len(merged_weight))
        d_state = torch.zeros_like(d_states[0])
        for t in range(len(d_states) - 1, -1, -1):
            d_hidden = d_product[t, :, merged.num_queries :]
            d_state = through.step(t, d_state + d_states[t], d_inputs[t], d_hidden)
            d_context = addmm(d_contexts[t], d_inputs[t], context_weight)
            d_query = merged.room(d_product[t])
            attention.step(t, d_context, d_attended[t], d_query)
            merged.back(d_product[t], d_query, d_state[:, : tape.size])
        d_merged = weight_gradient(d_product, tape.states[:-1, :, : tape.size])
        d_context_weight = weight_gradient(d_inputs, looked.contexts)
        d_bias = d_product[..., merged.num_queries :].sum((0, 1))
        d_keys, d_values, d_direction = attention.finish()
        of_memory = (d_keys, d_values, None, d_direction)
        return None, d_inputs, d_state, *of_memory, d_merged, d_context_weight, d_bias


class _FusedConditional(Function):
    """Time-major; the two cells take turns on one tape of 2T steps."""

    @staticmethod
    def forward(
        ctx: Any,
        kind: type[Tape],
        steps: Tensor,
        state: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor,
        direction: Tensor | None,
        merged_weight: Tensor,
        first_weight: Tensor,
        first_bias: Tensor,
        context_weight: Tensor,
        context_bias: Tensor,
        second_bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        tape = kind.start(2 * len(steps), state)
        looked = Looked.start(len(steps), keys, values, mask, direction)
        attention = AttentionTape(looked)
        merged = Merged(merged_weight, len(second_bias))
        merged_bias = merged.bias(second_bias)
        for t, step in enumerate(steps):
            tape.step(2 * t, step, addmm(first_bias, tape.shown(2 * t), first_weight.t()))
            between = tape.shown(2 * t + 1)
            both = addmm(merged_bias, between, merged_weight.t())
            query, hidden = merged.split(both, between)
            context = attention.look(t, query)
            inputs = addmm(context_bias, context, context_weight.t())
            tape.step(2 * t + 1, inputs, hidden)
        pack(ctx, tape, looked, merged_weight, first_weight, context_weight)
        return tape.states[2::2], looked.contexts, looked.weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *saved, merged_weight, first_weight, context_weight = ctx.saved_tensors
        tape, looked = unpack(ctx, saved)
        d_states, d_contexts, d_attended = gradients
        num_gates, size = len(context_weight), tape.size
        merged = Merged(merged_weight, num_gates)
        through, attention = tape.gradient(), AttentionGradient(looked)
        shape = d_states.shape[:2]
        d_first, d_second, d_first_hidden = (d_states.new_empty(*shape, num_gates) for _ in "123")
        d_product = d_states.new_empty(*shape, len(merged_weight))
        d_state = torch.zeros_like(d_states[0])
        for t in range(len(d_states) - 1, -1, -1):
            d_hidden = d_product[t, :, merged.num_queries :]
            d_state = through.step(2 * t + 1, d_state + d_states[t], d_second[t], d_hidden)
            d_context = addmm(d_contexts[t], d_second[t], context_weight)
            d_query = merged.room(d_product[t])
            attention.step(t, d_context, d_attended[t], d_query)
            merged.back(d_product[t], d_query, d_state[:, :size])
            d_state = through.step(2 * t, d_state, d_first[t], d_first_hidden[t])
            addmm_(d_state[:, :size], d_first_hidden[t], first_weight)
        before, between = (tape.states[i:-1:2, :, :size] for i in (0, 1))
        d_merged = weight_gradient(d_product, between)
        d_first_weight = weight_gradient(d_first_hidden, before)
        d_context_weight = weight_gradient(d_second, looked.contexts)
        d_keys, d_values, d_direction = attention.finish()
        return (
            *(None, d_first, d_state, d_keys, d_values, None, d_direction, d_merged),
            *(d_first_weight, d_first_hidden.sum((0, 1))),
            *(d_context_weight, d_second.sum((0, 1))),
            d_product[..., merged.num_queries :].sum((0, 1)),
        )
