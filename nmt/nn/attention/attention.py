"""Attention as queries over a memory of keys and values; usable in or out of this model."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nmt.core.batch import Shared
from nmt.nn.attention.alignments.alignment import Alignment, SampledAlignment
from nmt.nn.attention.scores.score import Score
from nmt.nn.fused.attention import AttentionInputs
from nmt.nn.fused.fast_path import FastPath
from nmt.nn.shapes import Hidden, Inputs, Mask, Queries, Values


@dataclass(frozen=True)
class Memory(Shared):
    """Keys and values of a sentence, made once by `prepare`.

    Attributes:
        keys: `[B S K]`, what queries are compared with.
        values: `[B S H]`, what is read.
        mask: `[B S]`, True = a real position.
    """

    keys: Float[Tensor, "B S K"]
    values: Float[Tensor, "B S H"]
    mask: Bool[Tensor, "B S"]


@dataclass(frozen=True)
class Summary(Shared):
    """A source that is one vector, the same for every query.

    Attributes:
        vector: `[B H]`.
        mask: `[B S]`, True = a real position of the source.
    """

    vector: Float[Tensor, "B H"]
    mask: Bool[Tensor, "B S"]


@dataclass(frozen=True)
class AttentionState:
    """Memory of the steps before; batch is dimension 0 of every tensor.

    Attributes:
        score: of its score (what has been covered, say), or None.
        alignment: of its alignment (where it looked last, say), or None.
    """

    score: Tensor | None = None
    alignment: Tensor | None = None


AnyMemory = Memory | Summary | tuple[Memory, ...]
"""What a decoder carries along without looking into it: a memory, one for each head, a vector."""

AnyAttentionState = AttentionState | tuple[AttentionState, ...] | None
"""The same of what is remembered."""


@dataclass(frozen=True)
class AttentionOutput:
    """Context and weights of some queries.

    Attributes:
        context: `[B T H]`, the values, weighted and summed.
        weights: `[B T S]`, how much of each position.
        state: for the next call; None where nothing is remembered.
        sampled: how likely the positions were that have been sampled; None where none were.
    """

    context: Float[Tensor, "B T H"]
    weights: Float[Tensor, "B T S"]
    state: AnyAttentionState = None
    sampled: SampledAlignment | None = None

    @staticmethod
    def cat(steps: "Sequence[AttentionOutput]") -> "AttentionOutput":
        """Return the outputs of several calls in a row as those of one."""
        if len(steps) == 1:
            return steps[0]
        return AttentionOutput(
            torch.cat([step.context for step in steps], dim=1),
            torch.cat([step.weights for step in steps], dim=1),
            steps[-1].state,
            SampledAlignment.cat([step.sampled for step in steps if step.sampled is not None]),
        )


class BaseAttention(FastPath, nn.Module, ABC):
    """What a decoder reads the source through: prepare once, start, then look, step by step.

    Attributes:
        is_fixed: whether it is one vector at each step, without weights: no attention.
        fast_path: True: `fused_inputs` says what computes its steps by hand; None: nothing does.
    """

    is_fixed: ClassVar[bool] = False

    fast_path: bool | None = None

    def fused_inputs(self, memory: AnyMemory) -> AttentionInputs:
        """Return what a fused decoder attends to, where there is a fast path."""
        raise NotImplementedError(f"{type(self).__name__}.fused_inputs")

    @abstractmethod
    def prepare(
        self, values: Values, mask: Mask, keys: Inputs | None = None, summary: Hidden | None = None
    ) -> AnyMemory:
        """Return the memory of these values, with all that can be computed beforehand.

        Args:
            values: what is read.
            mask: True = a real position.
            keys: what queries are compared with, where it is not the values.
            summary: the whole source in one vector, for what does not look at positions.
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
            query: what is asked.
            memory: of `prepare`.
            state: of `start` or of the call before; None: this is the first.
        """


class Attention(BaseAttention):
    """Two questions in sequence: how well does each position fit, and so where to look.

    ``attention(query, attention.prepare(values, mask))`` looks at a sequence, or at the cells of a
    grid, of vectors. Where the score or the alignment depends on the steps before (coverage,
    monotonic), their `AttentionState` goes in and comes out, and the steps of one call run one
    after the other.

    Args:
        score: compares queries with keys.
        alignment: makes weights of the scores.
    """

    fast_path: bool | None = True

    def __init__(self, score: Score, alignment: Alignment) -> None:
        super().__init__()
        self.score = score
        self.alignment = alignment

    def fused_inputs(self, memory: AnyMemory) -> AttentionInputs:
        """Return what a fused decoder attends to, by the tapes of score and alignment."""
        assert isinstance(memory, Memory) and self.score.fast_path and self.alignment.fast_path
        tapes = self.alignment.fast_path, self.score.fast_path
        query, direction = self.score.tape_weights()
        return AttentionInputs(*tapes, memory.mask, (memory.keys, memory.values, direction), query)

    def prepare(
        self, values: Values, mask: Mask, keys: Inputs | None = None, summary: Hidden | None = None
    ) -> Memory:
        """Return the memory of these values, with what the score can compute beforehand."""
        return Memory(self.score.keys(values if keys is None else keys), values, mask)

    def start(self, memory: AnyMemory) -> AttentionState:
        """Return the state before the first step."""
        assert isinstance(memory, Memory)
        covered = None
        if self.score.is_sequential:
            covered = self.score.start(memory.keys, memory.mask)
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
    """The source as one vector, the same at each step (Cho 2014: c); its weights are all zero."""

    is_fixed: ClassVar[bool] = True

    def prepare(
        self, values: Values, mask: Mask, keys: Inputs | None = None, summary: Hidden | None = None
    ) -> Summary:
        """Return the summary."""
        assert summary is not None, "a fixed context is made of the summary"
        return Summary(summary, mask)

    def start(self, memory: AnyMemory) -> None:
        """Return None: nothing is remembered."""
        return None

    def forward(
        self, query: Queries, memory: AnyMemory, state: AnyAttentionState = None
    ) -> AttentionOutput:
        """Return the one vector, T times."""
        assert isinstance(memory, Summary)
        num_steps = query.shape[1]
        context = memory.vector.unsqueeze(1).expand(-1, num_steps, -1)
        weights = context.new_zeros(context.shape[0], num_steps, memory.mask.shape[1])
        return AttentionOutput(context, weights)
