"""The decoder of Luong 2015: step, then attend."""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from nmt.nn.attention.attention import AttentionOutput
from nmt.nn.decoders.decoder import StepwiseDecoder
from nmt.nn.decoders.interface import DecoderOutput, DecoderParts, DecoderState, StepState
from nmt.nn.fused.decoder import JointProjection, TapeKinds, restore_tapes, save_tapes
from nmt.nn.layers import Linear, addmm, addmm_, matmul, weight_gradient
from nmt.nn.shapes import Contexts, Embedded, Gates, Vectors


class LuongDecoder(StepwiseDecoder):
    """Attend with the new state; output the attentional vector, optionally with input feeding.

    ``h_t = cell([y_{t-1}; h~_{t-1}], h_{t-1})``, ``c_t = attend(h_t)``,
    ``h~_t = tanh(W_c [c_t; h_t])`` (Luong 2015, eq. 5 and section 3.3).

    Args:
        parts: the parts and their sizes; the top layer attends, and O is the size of the
            attentional vector.
        input_feeding: feed the attentional vector to the next step. Without it the steps do not
            depend on the attention, which then runs for all words at once.
        fused: with input feeding, run all words as one autograd node if the parts support it;
            false: always run the plain loop. One layer of GRU or LSTM, with or without zoneout, an
            additive or multiplicative score, and softmax support it.
    """

    def __init__(
        self, parts: DecoderParts, *, input_feeding: bool = True, fused: bool = True
    ) -> None:
        super().__init__(parts)
        if not fused:
            self.drop_fast_path("fused: false")
        self.fed_to_gates: nn.Module | None = None
        if input_feeding:
            self.input_feed_size = parts.output_size
            self.fed_to_gates = self.layers[0].gates_from(parts.output_size)
        self.combine = Linear(parts.value_size + self.hidden_size, parts.output_size)

    @property
    def slow_path_reason(self) -> str | None:
        """Return why training runs word by word; None if it runs all words at once."""
        return None if self.fed_to_gates is None else super().slow_path_reason

    def forward(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        """Continue from `state` with T words."""
        if self.fed_to_gates is not None:
            return super().forward(embedded, state)
        outputs, recurrent = self._unroll(embedded, state)
        attended: AttentionOutput = self.attention(outputs, state.memory, state.attention)
        vectors = self._combine(attended.context, outputs)
        after = replace(state, recurrent=recurrent, attention=attended.state)
        return DecoderOutput(vectors, attended.weights, after, attended.sampled, attended.heads)

    def _step(self, word: Gates, state: StepState) -> tuple[Float[Tensor, "B O"], AttentionOutput]:
        assert self.fed_to_gates is not None
        hidden = self._step_first(word + self.fed_to_gates(state.input_feed), state)
        hidden = self._step_upper(hidden, state)
        attended = self._attend(hidden, state)
        state.input_feed = self._combine(attended.context.squeeze(1), hidden)
        return state.input_feed, attended

    def _read_out(self, outputs: Vectors, embedded: Embedded, contexts: Contexts) -> Vectors:
        return outputs

    def _combine(
        self, context: Float[Tensor, "*N C"], hidden: Float[Tensor, "*N H"]
    ) -> Float[Tensor, "*N O"]:
        """Return the attentional vectors."""
        return torch.tanh(self.combine(torch.cat([context, hidden], dim=-1)))

    def _forward_fused(self, embedded: Embedded, state: DecoderState) -> DecoderOutput:
        cell = self.layers[0]
        assert self.fed_to_gates is not None and state.input_feed is not None
        feed_weight = self.fed_to_gates.get_parameter("weight")
        others = cell.bias_hidden, feed_weight, self.combine.weight, self.combine.bias
        vectors, states, weights = self._run_fused(
            embedded, state, cell.weight_hidden, state.input_feed, *others
        )
        after = replace(state, recurrent=states[:, -1:], input_feed=vectors[:, -1])
        return DecoderOutput(vectors, weights, after)


class FusedLuong(Function):
    """`LuongDecoder` with input feeding over all target words as one autograd node; time-major.

    One product of a hidden state gives its query and the gates of the next step.

    ``x_t = y_t + o_{t-1} F^T``, ``s_t = cell(x_t, u_t, s_{t-1})``,
    ``[q_t; u_{t+1}] = h_t [W; U]^T + [0; b]``, ``c_t = attend(q_t)``,
    ``o_t = tanh([c_t; h_t] W_c^T + b_c)``. Outputs attentional vectors `[T B O]`, states `[T B Z]`
    and weights `[T B S]`.
    """

    @staticmethod
    def forward(ctx: Any, kinds: TapeKinds, words: Tensor, *given: Any) -> tuple[Tensor, ...]:
        """Return vectors, states and weights; `_run_fused` describes the arguments."""
        joint_weight, state, input_feed, bias, *rest = given
        feed_weight, combine_weight, combine_bias, *memory = rest
        cell, attention = kinds.start(len(words), state, *memory)
        joint = JointProjection(joint_weight, len(bias), bias)
        vectors = words.new_empty(len(words) + 1, *input_feed.shape)
        vectors[0] = input_feed
        gates = addmm(bias, cell.hidden[0], joint.gates_weight.t())
        for t, word in enumerate(words):
            cell.step(t, addmm(word, vectors[t], feed_weight.t()), gates)
            hidden = cell.hidden[t + 1]
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
            # d h_t += d q_t W + d u_{t+1} U, after the h_t columns of d l_t W_c
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
        d_joint_weight = weight_gradient(d_both, cell.hidden)
        # d W_c = sum_t d l_t^T [c_t; h_t]
        together = torch.cat([attention.contexts, cell.hidden[1:]], dim=2)
        d_combine_weight = weight_gradient(d_combined, together)
        # d F = sum_t d x_t^T o_{t-1}
        d_feed_weight = weight_gradient(d_inputs, vectors[:-1])
        # d b = sum_t d u_t, d b_c = sum_t d l_t
        d_bias, d_combine_bias = d_hidden.sum((0, 1)), d_combined.sum((0, 1))
        d_starts = (d_joint_weight, d_state, d_feed)
        d_parameters = (d_bias, d_feed_weight, d_combine_weight, d_combine_bias)
        return None, d_inputs, *d_starts, *d_parameters, *attention.finish()


LuongDecoder.fast_path = FusedLuong  # set here: it is defined after the plain code
