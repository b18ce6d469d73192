"""How finished hypotheses are scored: length penalties, coverage penalties, both together.

Each further token makes a hypothesis less probable, so the log-probability prefers the short.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import inf
from typing import Annotated, Final

import torch
from annotated_types import Ge, Le
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nmt.core.coverage import Coverage


class LengthPenalty(ABC):
    """Makes a score that is fair to long hypotheses of a log-probability.

    Lengths count EOS, as the log-probability does, and so are never zero.
    """

    @abstractmethod
    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Return the score of finished hypotheses.

        It never falls with the log-probability, nor with the length: `can_beat` relies on it.

        Args:
            log_probability: of any shape, at most 0.
            length: tokens of each, EOS counted; of a shape that broadcasts.
        """

    def can_beat(
        self,
        best: Float[Tensor, "N 1"],
        totals: Float[Tensor, "N C"],
        is_open: Bool[Tensor, "N C"],
        longest: Int[Tensor, "N 1"],
    ) -> Bool[Tensor, "N 1"]:
        """Return whether an open hypothesis of a sentence can still score above its `best`.

        The log-probability of a hypothesis can only fall, and its length can only grow to its
        limit: it never scores more than today's log-probability would at that length. Rounding
        keeps this order.

        Args:
            best: a score of each sentence.
            totals: log-probabilities so far.
            is_open: which of the hypotheses are open.
            longest: most tokens that a hypothesis may have, EOS counted.
        """
        highest = totals.masked_fill(~is_open, -inf).amax(dim=1, keepdim=True)
        return self.score(highest, longest.to(highest.dtype)) > best


class NoPenalty(LengthPenalty):
    """The log-probability itself."""

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Log P."""
        return log_probability / torch.ones_like(length)


class AveragePenalty(LengthPenalty):
    """The mean log-probability of a token (Jean 2015; Koehn & Knowles 2017, section 3.6)."""

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Log P / |Y|."""
        return log_probability / length


class GNMTPenalty(LengthPenalty):
    """``log P / ((5 + |Y|) / 6) ** alpha`` (Wu 2016, eq. 14).

    Args:
        alpha: 0 is no penalty; the paper found 0.6 to 0.7 best.
    """

    def __init__(self, *, alpha: Annotated[float, Ge(0.0), Le(10)] = 0.6) -> None:
        assert alpha >= 0.0, "the score would fall with length, and `can_beat` be wrong"
        self.alpha = alpha

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Log P / lp(Y)."""
        return log_probability / ((5 + length) / 6) ** self.alpha


class WordReward(LengthPenalty):
    """``log P + reward * |Y|``: each token earns as much (He 2016, section 3.2).

    Args:
        reward: 0 is no penalty.
    """

    def __init__(self, *, reward: Annotated[float, Ge(0.0), Le(1_000)] = 0.5) -> None:
        assert reward >= 0.0, "the score would fall with length, and `can_beat` be wrong"
        self.reward = reward

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Log P and the rewards."""
        return log_probability + self.reward * length


LENGTH_PENALTIES: Final[dict[str, type[LengthPenalty]]] = {
    "none": NoPenalty,
    "average": AveragePenalty,
    "gnmt": GNMTPenalty,
    "word_reward": WordReward,
}


class CoveragePenalty(ABC):
    """Takes from the score of a finished hypothesis for what its attention did to the source."""

    reads_coverage: bool = True
    """Whether it needs to know what the attention did."""

    @abstractmethod
    def __call__(self, coverage: Coverage) -> Float[Tensor, " N"]:
        """What is added to the score; at most 0.

        Args:
            coverage: what its attention did, step for step.
        """


class NoCoverage(CoveragePenalty):
    """Nothing."""

    reads_coverage = False

    def __call__(self, coverage: Coverage) -> Float[Tensor, " N"]:
        """0."""
        return torch.zeros_like(coverage.again)


class WeightedCoverage(CoveragePenalty):
    """A coverage penalty with a weight.

    Args:
        beta: weight; 0 is no penalty, Wu (2016) has 0.2.
    """

    def __init__(self, *, beta: Annotated[float, Ge(0.0), Le(1_000)] = 0.2) -> None:
        assert beta >= 0.0, "it would add to the score, and the bound of the search be wrong"
        self.beta = beta


class GNMTCoverage(WeightedCoverage):
    """``beta * sum_j log min(c_j, 1)``: nothing of the source is left out (Wu 2016, eq. 14)."""

    def __call__(self, coverage: Coverage) -> Float[Tensor, " N"]:
        """At most 0."""
        seen = coverage.seen.clamp(min=torch.finfo(coverage.seen.dtype).tiny, max=1.0)
        return self.beta * seen.log().sum(dim=1)


class SummaryCoverage(WeightedCoverage):
    """``-beta * sum_j (max(c_j, 1) - 1)``: nothing is said twice (Gehrmann 2018, eq. 6)."""

    def __call__(self, coverage: Coverage) -> Float[Tensor, " N"]:
        """At most 0."""
        return -self.beta * (coverage.seen.clamp(min=1.0) - 1.0).sum(dim=1)


class SeeCoverage(WeightedCoverage):
    """``-beta * sum_t sum_j min(a_tj, c_<t,j)``: no step looks where others did (See 2017, eq. 12).

    The paper has it for a loss. Unlike `SummaryCoverage` it takes for every second look, be it at a
    word that has got less than a whole one.
    """

    def __call__(self, coverage: Coverage) -> Float[Tensor, " N"]:
        """At most 0."""
        return -self.beta * coverage.again


COVERAGE_PENALTIES: Final[dict[str, type[CoveragePenalty]]] = {
    "none": NoCoverage,
    "gnmt": GNMTCoverage,
    "summary": SummaryCoverage,
    "see": SeeCoverage,
}


@dataclass(frozen=True)
class Scoring:
    """What finished hypotheses of a sentence are ranked by.

    Attributes:
        length: makes a score of the log-probability.
        coverage: adds to it.
    """

    length: LengthPenalty
    coverage: CoveragePenalty = field(default_factory=NoCoverage)
