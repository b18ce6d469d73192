"""Loop state of the exported beam search."""

from dataclasses import dataclass
from math import inf
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Limits: TypeAlias = tuple[Int[Tensor, "M 1"], Int[Tensor, "M 1"]]
"""Minimum and maximum number of tokens of each translation, without EOS."""
_FEW = 8  # up to this number of sentences, one round searches to the end


@dataclass(frozen=True)
class FinishedHypotheses:
    """The best translations of each sentence, best first.

    Attributes:
        scores: `[B N]`, scores for ranking; -inf: no hypothesis.
        log_probabilities: `[B N]`, including EOS.
        lengths: `[B N]`, number of tokens.
        tokens: `[B N T]`, without BOS and EOS; undefined beyond the length.
    """

    scores: Float[Tensor, "B N"]
    log_probabilities: Float[Tensor, "B N"]
    lengths: Int[Tensor, "B N"]
    tokens: Int[Tensor, "B N T"]


@dataclass(frozen=True)
class Beams:
    """The hypotheses of M sentences: K places for open ones, and the best finished ones.

    Attributes:
        totals: `[M K]`, log-probability of each open hypothesis; -inf: no hypothesis.
        last: `[M K]`, the last token of each hypothesis.
        tokens: `[M K T]`, all tokens of each hypothesis, without BOS.
        num_free: `[M 1]`, places of the beam not taken by finished hypotheses.
        found: the best finished hypotheses.
    """

    totals: Float[Tensor, "M K"]
    last: Int[Tensor, "M K"]
    tokens: Int[Tensor, "M K T"]
    num_free: Int[Tensor, "M 1"]
    found: FinishedHypotheses

    def are_open(self) -> Bool[Tensor, " M"]:
        """Return which sentences have an open hypothesis."""
        return (self.totals > -inf).any(dim=1)


@dataclass(frozen=True)
class LoopState:
    """Loop state of M sentences, with R = M * K rows for their places.

    Attributes:
        length: number of tokens of each open hypothesis, a scalar.
        beams: the hypotheses.
        state: tensors `[R ...]` of the step function's state, without its `Shared` parts.
    """

    length: Int[Tensor, ""]
    beams: Beams
    state: tuple[Tensor, ...]


@dataclass(frozen=True)
class LoopConstants:
    """Tensors that stay the same during a round of the search.

    Attributes:
        places: `[1 K]`, 0 to K - 1.
        columns: `[1 1 T]`, 0 to T - 1.
        rows: `[M 1]`, the first of the R rows of each sentence.
        pooled: `[M 1]`, the first row of each sentence in a pool of N finished and K open rows.
        min_length: `[M 1]`, minimum number of tokens of a translation, without EOS.
        max_length: `[M 1]`, maximum number of tokens of a translation, without EOS.
        fewest_open: number of open sentences at which the round ends.
    """

    places: Int[Tensor, "1 K"]
    columns: Int[Tensor, "1 1 T"]
    rows: Int[Tensor, "M 1"]
    pooled: Int[Tensor, "M 1"]
    min_length: Int[Tensor, "M 1"]
    max_length: Int[Tensor, "M 1"]
    fewest_open: Int[Tensor, ""]

    @classmethod
    def of(
        cls, beams: Beams, min_length: Int[Tensor, "M 1"], max_length: Int[Tensor, "M 1"]
    ) -> "LoopConstants":
        """Return the constants of a round that starts with these beams."""
        num_sentences, num_places = beams.totals.shape
        sentences = torch.arange(num_sentences).unsqueeze(1)
        number = torch.ones_like(min_length).sum()
        return cls(
            torch.arange(num_places).unsqueeze(0),
            torch.arange(beams.tokens.shape[2]).view(1, 1, -1),
            sentences * num_places,
            sentences * (beams.found.scores.shape[1] + num_places),
            min_length,
            max_length,
            torch.where(number <= _FEW, 0, number * 3 // 4),
        )
