"""`luong.LuongDecoder` with input feeding over all target words as one autograd node.

(docs/fused.md.) One product of a hidden state gives its query and the gates of the next step.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.nn.fused.attention_tape import AttentionTape
from nmt.nn.fused.decoder import JointProjection, restore_tapes, save_tapes
from nmt.nn.fused.matmul import addmm, addmm_, matmul, weight_gradient
from nmt.nn.fused.score_tape import ScoreTape
from nmt.nn.recurrent.cell import CellTape


class FusedLuong(Function):
    """Step with the attentional vector of the word before, attend, combine; time-major.

    ``x_t = y_t + o_{t-1} F^T``, ``s_t = cell(x_t, u_t, s_{t-1})``,
    ``[q_t; u_{t+1}] = h_t [W; U]^T + [0; b]``, ``c_t = attend(q_t)``,
    ``o_t = tanh([c_t; h_t] W_c^T + b_c)``. Outputs attentional vectors `[T B O]`, states `[T B Z]`
    and weights `[T B S]`.
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
        input_feed: Tensor,
        bias: Tensor,
        feed_weight: Tensor,
        combine_weight: Tensor,
        combine_bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return vectors, states and weights; `run_fused` describes the first arguments."""
        num_steps = len(words)
        cell = cell_tape.start(num_steps, state)
        attention = AttentionTape.start(num_steps, score_tape, keys, values, mask, direction)
        joint = JointProjection(joint_weight, len(bias), bias)
        vectors = words.new_empty(num_steps + 1, *input_feed.shape)
        vectors[0] = input_feed
        gates = addmm(bias, cell.hidden(0), joint.gates_weight.t())
        for t, word in enumerate(words):
            cell.step(t, addmm(word, vectors[t], feed_weight.t()), gates)
            hidden = cell.hidden(t + 1)
            query, gates = joint(hidden)
            together = torch.cat([attention.step(t, query), hidden], dim=1)
            torch.tanh(addmm(combine_bias, together, combine_weight.t()), out=vectors[t + 1])
        save_tapes(ctx, cell, attention, vectors, joint_weight, feed_weight, combine_weight)
        return vectors[1:], cell.states[1:], attention.weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the arguments of `forward`."""
        cell, attention, others = restore_tapes(ctx)
        vectors, joint_weight, feed_weight, combine_weight = others
        d_vectors, d_states, d_weights = gradients
        (num_steps, batch), num_gates, size = d_states.shape[:2], len(feed_weight), cell.size
        joint = JointProjection(joint_weight, num_gates)
        num_values = attention.contexts.shape[2]
        d_inputs = d_states.new_empty(num_steps, batch, num_gates)
        d_both = d_states.new_zeros(num_steps + 1, batch, len(joint_weight))
        d_hidden = d_both[..., joint.num_queries :]
        d_combined = torch.empty_like(d_vectors)
        d_state = torch.zeros_like(d_states[0])
        d_feed = torch.zeros_like(d_vectors[0])
        for t in range(num_steps - 1, -1, -1):
            vector = vectors[t + 1]
            # o_t = tanh(l_t): d l_t = d o_t * (1 - o_t^2)
            torch.mul(d_vectors[t] + d_feed, 1 - vector * vector, out=d_combined[t])
            # [d c_t; d h_t] += d l_t W_c
            d_together = matmul(d_combined[t], combine_weight)
            # c_t = attend(q_t): d q_t
            d_query = joint.query_gradient(d_both[t + 1])
            attention.backward(t, d_together[:, :num_values], d_weights[t], d_query)
            # d h_t += d q_t W + d u_{t+1} U, after its half of d l_t W_c
            d_state = d_state + d_states[t]
            d_output = d_state[:, :size]
            d_output += d_together[:, num_values:]
            joint.backward(d_both[t + 1], d_query, d_output)
            # s_t = cell(x_t, u_t, s_{t-1}): d x_t, d u_t
            d_state = cell.backward(t, d_state, d_inputs[t], d_hidden[t])
            # d o_{t-1} += d x_t F
            d_feed = matmul(d_inputs[t], feed_weight)
        # d h_0 += d u_1 U
        addmm_(d_state[:, :size], d_hidden[0], joint.gates_weight)
        # d [W; U] = sum_t [d q_t; d u_{t+1}]^T h_t, where d q_0 = 0 and d u_{T+1} = 0
        hidden = cell.states[..., :size]
        d_joint_weight = weight_gradient(d_both, hidden)
        # d W_c = sum_t d l_t^T [c_t; h_t]
        together = torch.cat([attention.contexts, hidden[1:]], dim=2)
        d_combine_weight = weight_gradient(d_combined, together)
        # d F = sum_t d x_t^T o_{t-1}
        d_feed_weight = weight_gradient(d_inputs, vectors[:-1])
        # d b = sum_t d u_t, d b_c = sum_t d l_t
        d_bias, d_combine_bias = d_hidden.sum((0, 1)), d_combined.sum((0, 1))
        d_memory = attention.finish()
        d_starts = (d_state, d_feed)
        d_parameters = (d_bias, d_feed_weight, d_combine_weight, d_combine_bias)
        return None, None, None, d_inputs, *d_memory, d_joint_weight, *d_starts, *d_parameters
