"""The conditional decoder (cGRU): first transition, attention, second transition."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.nn.attention.attention import AttentionOutput
from nmt.nn.decoders.decoder import DeepOutputDecoder
from nmt.nn.decoders.interface import DecoderParts, StepState
from nmt.nn.fused.decoder import JointProjection, TapeKinds, restore_tapes, save_tapes
from nmt.nn.layers import addmm, addmm_, weight_gradient
from nmt.nn.shapes import Gates, Hidden


class ConditionalDecoder(DeepOutputDecoder):
    """Two transitions with the attention between them (cGRU of dl4mt; Sennrich 2017, Nematus).

    ``s'_t = cell_1(y_{t-1}, s_{t-1})``, ``c_t = attend(s'_t)``, ``s_t = cell_2(c_t, s'_t)``, deep
    output. With several layers the first one attends, and the next layer reads ``s_t``.

    Args:
        parts: the parts and their sizes; a second cell is made for ``cell_2``.
        fused: run all words as one autograd node if the parts support it; false: always run the
            plain loop. One layer of GRU or LSTM, with or without zoneout, an additive or
            multiplicative score, and softmax support it.
    """

    def __init__(self, parts: DecoderParts, *, fused: bool = True) -> None:
        super().__init__(parts)
        self.second = parts.make_cell(parts.value_size)
        if not fused:
            self.drop_fast_path("fused: false")

    def _step(self, word: Gates, state: StepState) -> tuple[Hidden, AttentionOutput]:
        first, dropout_mask = self.layers[0], state.dropout_masks[0]
        between = first(word, state.recurrent[0], dropout_mask)
        attended = self._attend(first.hidden(between), state)
        context = self.second.project(attended.context.squeeze(1))
        state.recurrent[0] = self.second(context, between, dropout_mask)
        return self._step_upper(self.second.hidden(state.recurrent[0]), state), attended

    def _fused_weights(self) -> tuple[Tensor, ...]:
        first, second = self.layers[0], self.second
        context = second.weight_input, second.bias_input, second.bias_hidden
        return second.weight_hidden, first.weight_hidden, first.bias_hidden, *context


class FusedConditional(Function):
    """`ConditionalDecoder` over all target words as one autograd node; time-major.

    ``u'_t = h_{t-1} U'^T + b'``, ``s'_t = cell(y_t, u'_t, s_{t-1})``,
    ``[q_t; u_t] = h'_t [W; U]^T + [0; b]``, ``c_t = attend(q_t)``, ``x_t = c_t C^T + b_c``,
    ``s_t = cell(x_t, u_t, s'_t)``. Both cells share one tape of 2T steps. Outputs states
    `[T B Z]`, contexts `[T B C]` and weights `[T B S]`.
    """

    @staticmethod
    def forward(ctx: Any, kinds: TapeKinds, words: Tensor, *given: Any) -> tuple[Tensor, ...]:
        """Return states, contexts and weights; `_run_fused` describes the arguments."""
        joint_weight, state, first_weight, first_bias, *rest = given
        context_weight, context_bias, second_bias, *memory = rest
        cell, attention = kinds.start(len(words), state, *memory, cell_steps=2)
        joint = JointProjection(joint_weight, len(second_bias), second_bias)
        for t, word in enumerate(words):
            cell.step(2 * t, word, addmm(first_bias, cell.hidden[2 * t], first_weight.t()))
            query, hidden = joint(cell.hidden[2 * t + 1])
            context = attention.step(t, query)
            cell.step(2 * t + 1, addmm(context_bias, context, context_weight.t()), hidden)
        save_tapes(ctx, cell, attention, joint_weight, first_weight, context_weight)
        return cell.states[2::2], attention.contexts, attention.weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the arguments of `forward`."""
        cell, attention, (joint_weight, first_weight, context_weight) = restore_tapes(ctx)
        d_states, d_contexts, d_weights = gradients
        shape, num_gates, size = d_states.shape[:2], len(context_weight), cell.size
        joint = JointProjection(joint_weight, num_gates)
        d_words = d_states.new_empty(*shape, num_gates)
        d_inputs, d_first_hidden = torch.empty_like(d_words), torch.empty_like(d_words)
        d_both = d_states.new_empty(*shape, len(joint_weight))
        d_hidden = d_both[..., joint.num_queries :]
        d_state = torch.zeros_like(d_states[0])
        for t in range(len(d_states) - 1, -1, -1):
            # s_t = cell(x_t, u_t, s'_t): d x_t, d u_t
            d_state = cell.backward(2 * t + 1, d_state + d_states[t], d_inputs[t], d_hidden[t])
            # d c_t += d x_t C
            d_context = addmm(d_contexts[t], d_inputs[t], context_weight)
            # c_t = attend(q_t): d q_t
            d_query = joint.query_gradient(d_both[t])
            attention.backward(t, d_context, d_weights[t], d_query)
            # d h'_t += d q_t W + d u_t U
            joint.backward(d_both[t], d_query, d_state[:, :size])
            # s'_t = cell(y_t, u'_t, s_{t-1}): d y_t, d u'_t
            d_state = cell.backward(2 * t, d_state, d_words[t], d_first_hidden[t])
            # d h_{t-1} += d u'_t U'
            addmm_(d_state[:, :size], d_first_hidden[t], first_weight)
        # d [W; U] = sum_t [d q_t; d u_t]^T h'_t
        d_joint_weight = weight_gradient(d_both, cell.hidden[1:-1:2])
        # d U' = sum_t d u'_t^T h_{t-1}, d b' = sum_t d u'_t
        d_first_weight = weight_gradient(d_first_hidden, cell.hidden[0:-1:2])
        d_first_bias = d_first_hidden.sum((0, 1))
        # d C = sum_t d x_t^T c_t, d b_c = sum_t d x_t
        d_context_weight = weight_gradient(d_inputs, attention.contexts)
        d_context_bias = d_inputs.sum((0, 1))
        # d b = sum_t d u_t
        d_second_bias = d_hidden.sum((0, 1))
        d_first = (d_first_weight, d_first_bias)
        d_second = (d_context_weight, d_context_bias, d_second_bias)
        d_starts = (d_joint_weight, d_state)
        return None, d_words, *d_starts, *d_first, *d_second, *attention.finish()


ConditionalDecoder.fast_path = FusedConditional  # set here: it is defined after the plain code
