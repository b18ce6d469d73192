"""Attention as queries over a memory of keys and values; usable alone, in or out of this model."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn

from nmt.nn.attention.alignment import Alignment
from nmt.nn.attention.score import Score


@dataclass(frozen=True)
class Memory:
    """What there is to look at; made once for a sentence by `Attention.prepare`.

    Attributes:
        keys: `[B S K]`, what queries are compared with.
        values: `[B S H]`, what is read.
        mask: `[B S]`, True = a real position.
    """

    keys: Float[Tensor, "B S K"]
    values: Float[Tensor, "B S H"]
    mask: Bool[Tensor, "B S"]


@dataclass(frozen=True)
class Attended:
    """What was seen.

    Attributes:
        context: `[B T H]`, the values, weighted and summed.
        weights: `[B T S]`, how much of each position.
    """

    context: Float[Tensor, "B T H"]
    weights: Float[Tensor, "B T S"]


class Attention(nn.Module):
    """Two questions in sequence: how well does each position fit, and so where to look.

    Args:
        score: compares queries with keys.
        alignment: makes weights of the scores.
    """

    def __init__(self, score: Score, alignment: Alignment) -> None:
        super().__init__()
        self.score = score
        self.alignment = alignment

    def prepare(self, values: Float[Tensor, "B S H"], mask: Bool[Tensor, "B S"]) -> Memory:
        """The memory of these values, with what the score can compute beforehand."""
        return Memory(self.score.keys(values), values, mask)

    def forward(self, query: Float[Tensor, "B T Q"], memory: Memory) -> Attended:
        """Look at the memory, once for each of T queries."""
        weights = self.alignment(self.score(query, memory.keys), memory.mask)
        return Attended(weights @ memory.values, weights)
