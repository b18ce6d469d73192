"""The decoder of Bahdanau 2015: attend, then step."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.nn.attention.attention import AttentionOutput
from nmt.nn.decoders.decoder import DeepOutputDecoder
from nmt.nn.decoders.interface import DecoderParts, StepState
from nmt.nn.fused.decoder import JointProjection, TapeKinds, restore_tapes, save_tapes
from nmt.nn.layers import addmm, weight_gradient
from nmt.nn.shapes import Gates, Hidden


class BahdanauDecoder(DeepOutputDecoder):
    """Attend with the previous state, then feed the context to the cell, with deep output.

    ``c_t = attend(s_{t-1})``, ``s_t = cell([y_{t-1}; c_t], s_{t-1})``,
    ``o_t = tanh(W_s s_t + W_y y_{t-1} + W_c c_t)`` (Bahdanau 2015, A.2.2; deep output: Pascanu
    2014). The paper computes the output from ``s_{t-1}`` with maxout. Here it uses the new state
    and tanh, as in dl4mt and Nematus. With several layers the first one attends (Wu 2016), and
    ``s_t`` in the output is the state of the top layer.

    Args:
        parts: the parts and their sizes.
        fused: run all words as one autograd node if the parts support it; false: always run the
            plain loop. One layer of GRU or LSTM, with or without zoneout, an additive or
            multiplicative score, and softmax support it.
    """

    def __init__(self, parts: DecoderParts, *, fused: bool = True) -> None:
        super().__init__(parts)
        self.context_to_gates = self.layers[0].gates_from(parts.value_size)
        if not fused:
            self.drop_fast_path("fused: false")

    def _step(self, word: Gates, state: StepState) -> tuple[Hidden, AttentionOutput]:
        attended = self._attend(self.layers[0].hidden(state.recurrent[0]), state)
        gates = word + self.context_to_gates(attended.context.squeeze(1))
        return self._step_upper(self._step_first(gates, state), state), attended

    def _fused_weights(self) -> tuple[Tensor, ...]:
        cell, context_weight = self.layers[0], self.context_to_gates.get_parameter("weight")
        return cell.weight_hidden, context_weight, cell.bias_hidden


class FusedBahdanau(Function):
    """`BahdanauDecoder` over all target words as one autograd node (docs/fused.md); time-major.

    The loops only compute what depends on the previous step. The backward loop carries the gradient
    of the state, and keeps the gradient of each product with a weight. The gradient of each weight
    is then one product over all steps.

    ``[q_t; u_t] = h_{t-1} [W; U]^T + [0; b]``, ``c_t = attend(q_t)``, ``x_t = y_t + c_t C^T``,
    ``s_t = cell(x_t, u_t, s_{t-1})``. Outputs states `[T B Z]`, contexts `[T B C]` and weights
    `[T B S]`.
    """

    @staticmethod
    def forward(ctx: Any, kinds: TapeKinds, words: Tensor, *given: Any) -> tuple[Tensor, ...]:
        """Return states, contexts and weights; `_run_fused` describes the arguments."""
        joint_weight, state, context_weight, bias, *memory = given
        cell, attention = kinds.start(len(words), state, *memory)
        joint = JointProjection(joint_weight, len(bias), bias)
        for t, word in enumerate(words):
            query, hidden = joint(cell.hidden[t])
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
        d_joint_weight = weight_gradient(d_both, cell.hidden[:-1])
        # d C = sum_t d x_t^T c_t
        d_context_weight = weight_gradient(d_inputs, attention.contexts)
        # d b = sum_t d u_t
        d_bias = d_hidden.sum((0, 1))
        d_parameters = d_context_weight, d_bias
        return None, d_inputs, d_joint_weight, d_state, *d_parameters, *attention.finish()


BahdanauDecoder.fast_path = FusedBahdanau  # set here: it is defined after the plain code
