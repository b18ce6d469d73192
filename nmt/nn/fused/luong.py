"""The decoder of Luong 2015 with input feeding, over all target words as one autograd node.

As in `fused_decoders`; here the product of a state makes its query, and the gates of the next step.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.nn.fused.attention_tape import AttentionGradient, AttentionTape, Looked
from nmt.nn.fused.inputs import Given, Looking, Merged, pack, unpack
from nmt.nn.fused.matmul import addmm, addmm_, matmul, weight_gradient
from nmt.nn.fused.tape import Tape


class Fed(NamedTuple):
    """What the fused decoder gives that feeds its output back, batch-major.

    Attributes:
        vectors: `[B T O]`, the attentional vectors.
        states: `[B T Z]`, after each step.
        weights: `[B T S]`.
    """

    vectors: Float[Tensor, "B T O"]
    states: Float[Tensor, "B T Z"]
    weights: Float[Tensor, "B T S"]


def fused_luong(
    kind: type[Tape],
    projected: Float[Tensor, "B T G"],
    state: Float[Tensor, "B Z"],
    fed: Float[Tensor, "B O"],
    looking: Looking,
    hidden: tuple[Float[Tensor, "G H"], Float[Tensor, " G"]],
    feeding: Float[Tensor, "G O"],
    combine: tuple[Float[Tensor, "O CH"], Float[Tensor, " O"]],
) -> Fed:
    """Step with what was made of the word before, look, and combine (`luong.LuongDecoder`).

    Args:
        kind: of the cell.
        projected: what the words add to the gates.
        state: before the first word.
        fed: the attentional vector before the first word.
        looking: at what.
        hidden: from the state to the gates, and their bias.
        feeding: from the attentional vector to the gates.
        combine: from ``[context; state]`` to the attentional vector, and its bias.
    """
    given = Given.of(projected, looking, hidden[0])
    weights = [tensor.to(given.number) for tensor in (hidden[1], feeding, *combine)]
    with torch.autocast(projected.device.type, enabled=False):
        found = _FusedLuong.apply(  # type: ignore[no-untyped-call]
            *(kind, given.steps, state.to(given.number), fed.to(given.number)),
            *(*given.looked, given.merged, *weights),
        )
    return Fed(*(tensor.transpose(0, 1) for tensor in found))


class _FusedLuong(Function):
    """Time-major; the product of a state makes its query, and the gates of the step after."""

    @staticmethod
    def forward(
        ctx: Any,
        kind: type[Tape],
        steps: Tensor,
        state: Tensor,
        fed: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor,
        direction: Tensor | None,
        merged_weight: Tensor,
        bias: Tensor,
        feeding: Tensor,
        combine: Tensor,
        combine_bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        tape = kind.start(len(steps), state)
        looked = Looked.start(len(steps), keys, values, mask, direction)
        attention = AttentionTape(looked)
        merged = Merged(merged_weight, len(bias))
        merged_bias = merged.bias(bias)
        vectors = steps.new_empty(len(steps) + 1, *fed.shape)
        vectors[0] = fed
        hidden = addmm(bias, tape.shown(0), merged.hidden().t())
        for t, step in enumerate(steps):
            tape.step(t, addmm(step, vectors[t], feeding.t()), hidden)
            shown = tape.shown(t + 1)
            both = addmm(merged_bias, shown, merged_weight.t())
            query, hidden = merged.split(both, shown)
            together = torch.cat([attention.look(t, query), shown], dim=1)
            torch.tanh(addmm(combine_bias, together, combine.t()), out=vectors[t + 1])
        pack(ctx, tape, looked, vectors, merged_weight, feeding, combine)
        return vectors[1:], tape.states[1:], looked.weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *saved, vectors, merged_weight, feeding, combine = ctx.saved_tensors
        tape, looked = unpack(ctx, saved)
        d_vectors, d_states, d_attended = gradients
        (num_steps, batch), num_gates, size = d_states.shape[:2], len(feeding), tape.size
        merged, num_values = Merged(merged_weight, num_gates), looked.values.shape[2]
        through, attention = tape.gradient(), AttentionGradient(looked)
        d_inputs = d_states.new_empty(num_steps, batch, num_gates)
        d_product = d_states.new_zeros(num_steps + 1, batch, len(merged_weight))
        d_hidden = d_product[..., merged.num_queries :]
        d_combined = torch.empty_like(d_vectors)
        d_state = torch.zeros_like(d_states[0])
        d_fed = torch.zeros_like(d_vectors[0])
        for t in range(num_steps - 1, -1, -1):
            made = vectors[t + 1]
            torch.mul(d_vectors[t] + d_fed, 1 - made * made, out=d_combined[t])
            d_together = matmul(d_combined[t], combine)
            d_query = merged.room(d_product[t + 1])
            attention.step(t, d_together[:, :num_values], d_attended[t], d_query)
            d_state = d_state + d_states[t]
            d_shown = d_state[:, :size]
            d_shown += d_together[:, num_values:]
            merged.back(d_product[t + 1], d_query, d_shown)
            d_state = through.step(t, d_state, d_inputs[t], d_hidden[t])
            d_fed = matmul(d_inputs[t], feeding)
        addmm_(d_state[:, :size], d_hidden[0], merged.hidden())
        shown = tape.states[..., :size]
        d_merged = weight_gradient(d_product, shown)
        together = torch.cat([looked.contexts, shown[1:]], dim=2)
        d_combine = weight_gradient(d_combined, together)
        d_feeding = weight_gradient(d_inputs, vectors[:-1])
        d_keys, d_values, d_direction = attention.finish()
        return (
            *(None, d_inputs, d_state, d_fed, d_keys, d_values, None, d_direction, d_merged),
            *(d_hidden.sum((0, 1)), d_feeding, d_combine, d_combined.sum((0, 1))),
        )
