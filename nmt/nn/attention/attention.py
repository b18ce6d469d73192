"""Attention of queries over a memory of keys and values; usable outside this toolkit's models."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nmt.core.batch import Shared, combine
from nmt.nn.attention.alignments.alignment import Alignment, SampledAlignment
from nmt.nn.attention.scores.score import Score
from nmt.nn.fused.attention import AttentionInputs
from nmt.nn.fused.fast_path import FastPath
from nmt.nn.layers import cast_for_autocast
from nmt.nn.shapes import Hidden, Inputs, Mask, Queries, Values


@dataclass(frozen=True)
class Memory(Shared):
    """Keys and values of the source, computed once by `prepare`.

    Attributes:
        keys: `[B S K]`, compared with the queries.
        values: `[B S H]`, averaged into the context.
        mask: `[B S]`, True = a real position.
    """

    keys: Float[Tensor, "B S K"]
    values: Float[Tensor, "B S H"]
    mask: Bool[Tensor, "B S"]


@dataclass(frozen=True)
class Summary(Shared):
    """The source as one vector, the same for every query.

    Attributes:
        vector: `[B H]`.
        mask: `[B S]`, True = a real position of the source.
    """

    vector: Float[Tensor, "B H"]
    mask: Bool[Tensor, "B S"]


@dataclass(frozen=True)
class AttentionState:
    """State of an attention after the previous steps; batch is dimension 0 of every tensor.

    Attributes:
        score: state of the score (such as the coverage), or None.
        alignment: state of the alignment (such as the last position), or None.
    """

    score: Tensor | None = None
    alignment: Tensor | None = None


# The prepared source, opaque to the decoder: one memory, one for each head, or one vector.
AnyMemory = Memory | Summary | tuple[Memory, ...]

# The attention state, opaque to the decoder: one, one for each head, or None.
AnyAttentionState = AttentionState | tuple[AttentionState, ...] | None


@dataclass(frozen=True)
class AttentionOutput:
    """Contexts and weights of T queries.

    Attributes:
        context: `[B T H]`, the weighted sum of the values.
        weights: `[B T S]`, the weight of each position.
        state: for the next call; None for a stateless attention.
        sampled: log-probabilities of sampled positions; None if nothing was sampled.
        heads: `[B T N S]`, the weights of each head; None: there is one.
    """

    context: Float[Tensor, "B T H"]
    weights: Float[Tensor, "B T S"]
    state: AnyAttentionState = None
    sampled: SampledAlignment | None = None
    heads: Float[Tensor, "B T N S"] | None = None

    @staticmethod
    def cat(steps: "Sequence[AttentionOutput]") -> "AttentionOutput":
        """Concatenate the outputs of consecutive calls along T."""
        if len(steps) == 1:
            return steps[0]
        parts = [(step.context, step.weights, step.sampled, step.heads) for step in steps]
        context, weights, sampled, heads = combine(partial(torch.cat, dim=1), parts)
        return AttentionOutput(context, weights, steps[-1].state, sampled, heads)


class BaseAttention(FastPath, nn.Module, ABC):
    """Base class of attentions: `prepare` and `start` once, then call it for each step.

    Attributes:
        is_fixed: whether the context is the same vector at each step, which is no attention.
        fast_path: True if `fused_inputs` returns the inputs of a fused decoder; None: no fast path.
    """

    is_fixed: ClassVar[bool] = False

    fast_path: bool | None = None

    def fused_inputs(self, memory: AnyMemory) -> AttentionInputs:
        """Return the inputs of a fused decoder; only called if there is a fast path."""
        raise NotImplementedError(f"{type(self).__name__}.fused_inputs")

    @abstractmethod
    def prepare(self, values: Values, mask: Mask, summary: Hidden | None = None) -> AnyMemory:
        """Return the memory of these values, with everything precomputed that can be.

        Args:
            values: averaged into the context.
            mask: True = a real position.
            summary: the whole source in one vector, for attentions that do not read positions.
        """

    @abstractmethod
    def start(self, memory: AnyMemory) -> AnyAttentionState:
        """Return the state before the first step."""

    @abstractmethod
    def forward(
        self, query: Queries, memory: AnyMemory, state: AnyAttentionState = None
    ) -> AttentionOutput:
        """Attend to the memory, once for each of T queries.

        Args:
            query: the queries.
            memory: from `prepare`.
            state: from `start` or the previous call; None for the first call.
        """


class Attention(BaseAttention):
    """``c_t = sum_s a_ts v_s``, where a is the alignment of scores (Bahdanau 2015, eq. 5).

    ``attention(query, attention.prepare(values, mask))`` attends to a sequence of vectors, or to
    the cells of a grid. If the score or the alignment depends on the previous steps (coverage,
    monotonic), the steps of one call run one after the other. Their `AttentionState` is passed in
    and returned.

    Args:
        score: compares queries with keys.
        alignment: turns scores into weights.
    """

    fast_path: bool | None = True

    def __init__(self, score: Score, alignment: Alignment) -> None:
        super().__init__()
        self.score = score
        self.alignment = alignment

    def fused_inputs(self, memory: AnyMemory) -> AttentionInputs:
        """Return the inputs of a fused decoder, with the tapes of score and alignment."""
        assert isinstance(memory, Memory) and self.score.fast_path and self.alignment.fast_path
        tapes = self.alignment.fast_path, self.score.fast_path
        query, direction = self.score.tape_weights()
        return AttentionInputs(*tapes, memory.mask, (memory.keys, memory.values, direction), query)

    def prepare(
        self, values: Values, mask: Mask, summary: Hidden | None = None, keys: Inputs | None = None
    ) -> Memory:
        """Return the memory of these values, with the keys that the score precomputes.

        Args:
            values: averaged into the context.
            mask: True = a real position.
            summary: not read.
            keys: compared with the queries; None: the values.
        """
        values = cast_for_autocast(values)
        keys = values if keys is None else cast_for_autocast(keys)
        return Memory(self.score.keys(keys), values, mask)

    def start(self, memory: AnyMemory) -> AttentionState:
        """Return the state before the first step."""
        assert isinstance(memory, Memory)
        is_sequential = self.score.is_sequential
        covered = self.score.start(memory.keys, memory.mask) if is_sequential else None
        return AttentionState(covered, self.alignment.start(memory.mask))

    def forward(
        self, query: Queries, memory: AnyMemory, state: AnyAttentionState = None
    ) -> AttentionOutput:
        """Attend to the memory, once for each of T queries."""
        assert isinstance(memory, Memory) and not isinstance(state, tuple)
        state = self.start(memory) if state is None else state
        is_sequential = self.score.is_sequential or self.alignment.is_sequential
        if query.shape[1] == 1 or not is_sequential:
            return self._attend(query, memory, state)
        steps = []
        for step in query.unbind(1):
            steps.append(self._attend(step.unsqueeze(1), memory, state))
            state = steps[-1].state
            assert isinstance(state, AttentionState)
        return AttentionOutput.cat(steps)

    def _attend(self, query: Tensor, memory: Memory, state: AttentionState) -> AttentionOutput:
        scores = self.score(query, memory.keys, state.score)
        aligned = self.alignment(scores, memory.mask, query, state.alignment)
        covered = state.score
        if covered is not None:
            covered = self.score.update(query, memory.keys, covered, aligned.weights)
        context, after = aligned.weights @ memory.values, AttentionState(covered, aligned.state)
        return AttentionOutput(context, aligned.weights, after, aligned.sampled)


class FixedContext(BaseAttention):
    """``c_t = c``: the source as one vector at each step (Cho 2014); the weights are all zero."""

    is_fixed: ClassVar[bool] = True

    def prepare(self, values: Values, mask: Mask, summary: Hidden | None = None) -> Summary:
        """Return the summary."""
        assert summary is not None, "a fixed context is made of the summary"
        return Summary(summary, mask)

    def start(self, memory: AnyMemory) -> None:
        """Return None: there is no state."""
        return None

    def forward(
        self, query: Queries, memory: AnyMemory, state: AnyAttentionState = None
    ) -> AttentionOutput:
        """Return the vector for each of T queries."""
        assert isinstance(memory, Summary)
        num_steps = query.shape[1]
        context = memory.vector.unsqueeze(1).expand(-1, num_steps, -1)
        weights = context.new_zeros(context.shape[0], num_steps, memory.mask.shape[1])
        return AttentionOutput(context, weights)
