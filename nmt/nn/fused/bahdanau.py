"""`bahdanau.BahdanauDecoder` over all target words as one autograd node (docs/fused.md).

Only what depends on the previous word is in the loops. The backward loop carries the gradient of
the state back and keeps the gradients of everything that a weight was multiplied with; each
weight's gradient is then one product over all steps.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.nn.fused.attention_tape import AttentionTape
from nmt.nn.fused.decoder import JointProjection, restore_tapes, save_tapes
from nmt.nn.fused.matmul import addmm, weight_gradient
from nmt.nn.fused.score_tape import ScoreTape
from nmt.nn.recurrent.cell import CellTape


class FusedBahdanau(Function):
    """Attend with the state before, then step; time-major.

    ``[q_t; u_t] = h_{t-1} [W; U]^T + [0; b]``, ``c_t = attend(q_t)``, ``x_t = y_t + c_t C^T``,
    ``s_t = cell(x_t, u_t, s_{t-1})``. Outputs states `[T B Z]`, contexts `[T B C]` and weights
    `[T B S]`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        cell_tape: type[CellTape],
        score_tape: type[ScoreTape],
        mask: Tensor,
        words: Tensor,
        keys: Tensor,
        values: Tensor,
        direction: Tensor | None,
        joint_weight: Tensor,
        state: Tensor,
        context_weight: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return states, contexts and weights; `run_fused` describes the first arguments."""
        num_steps = len(words)
        cell = cell_tape.start(num_steps, state)
        attention = AttentionTape.start(num_steps, score_tape, keys, values, mask, direction)
        joint = JointProjection(joint_weight, len(bias), bias)
        for t, word in enumerate(words):
            query, hidden = joint(cell.hidden(t))
            context = attention.step(t, query)
            cell.step(t, addmm(word, context, context_weight.t()), hidden)
        save_tapes(ctx, cell, attention, joint_weight, context_weight)
        return cell.states[1:], attention.contexts, attention.weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the arguments of `forward`."""
        cell, attention, (joint_weight, context_weight) = restore_tapes(ctx)
        d_states, d_contexts, d_weights = gradients
        shape, num_gates = d_states.shape[:2], len(context_weight)
        joint = JointProjection(joint_weight, num_gates)
        d_inputs = d_states.new_empty(*shape, num_gates)
        d_both = d_states.new_empty(*shape, len(joint_weight))
        d_hidden = d_both[..., joint.num_queries :]
        d_state = torch.zeros_like(d_states[0])
        for t in range(len(d_states) - 1, -1, -1):
            # s_t = cell(x_t, u_t, s_{t-1}): d x_t, d u_t
            d_state = cell.backward(t, d_state + d_states[t], d_inputs[t], d_hidden[t])
            # d c_t += d x_t C
            d_context = addmm(d_contexts[t], d_inputs[t], context_weight)
            # c_t = attend(q_t): d q_t
            d_query = joint.query_gradient(d_both[t])
            attention.backward(t, d_context, d_weights[t], d_query)
            # d h_{t-1} += d q_t W + d u_t U
            joint.backward(d_both[t], d_query, d_state[:, : cell.size])
        # d [W; U] = sum_t [d q_t; d u_t]^T h_{t-1}
        d_joint_weight = weight_gradient(d_both, cell.states[:-1, :, : cell.size])
        # d C = sum_t d x_t^T c_t
        d_context_weight = weight_gradient(d_inputs, attention.contexts)
        # d b = sum_t d u_t
        d_bias = d_hidden.sum((0, 1))
        d_memory = attention.finish()
        d_parameters = (d_joint_weight, d_state, d_context_weight, d_bias)
        return None, None, None, d_inputs, *d_memory, *d_parameters
