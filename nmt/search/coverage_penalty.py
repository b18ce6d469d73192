"""Coverage penalties on the score of finished hypotheses."""

from abc import ABC, abstractmethod
from typing import Annotated

import torch
from annotated_types import Ge, Le
from jaxtyping import Float
from torch import Tensor

from nmt.core.coverage import Coverage


class CoveragePenalty(ABC):
    """Base class of penalties on the attention coverage of a finished hypothesis.

    Attributes:
        reads_coverage: whether it needs the coverage.
    """

    reads_coverage: bool = True

    @abstractmethod
    def __call__(self, coverage: Coverage) -> Float[Tensor, " N"]:
        """Return the summand of the score, at most 0.

        Args:
            coverage: accumulated attention of each hypothesis.
        """


class NoCoverage(CoveragePenalty):
    """No penalty."""

    reads_coverage = False

    def __call__(self, coverage: Coverage) -> Float[Tensor, " N"]:
        """Return 0."""
        return torch.zeros_like(coverage.again)


class WeightedCoverage(CoveragePenalty):
    """A coverage penalty with a weight.

    Args:
        beta: weight; 0 is no penalty, Wu (2016) uses 0.2.
    """

    def __init__(self, *, beta: Annotated[float, Ge(0.0), Le(1_000)] = 0.2) -> None:
        assert beta >= 0.0, "it would add to the score, and the bound of the search would be wrong"
        self.beta = beta


class GNMTCoverage(WeightedCoverage):
    """``beta * sum_j log min(c_j, 1)``, against omissions (Wu 2016, eq. 14)."""

    def __call__(self, coverage: Coverage) -> Float[Tensor, " N"]:
        """Return the summand of the score, at most 0."""
        seen = coverage.seen.clamp(min=torch.finfo(coverage.seen.dtype).tiny, max=1.0)
        return self.beta * seen.log().sum(dim=1)


class SummaryCoverage(WeightedCoverage):
    """``-beta * sum_j (max(c_j, 1) - 1)``, against repetitions (Gehrmann 2018, eq. 6)."""

    def __call__(self, coverage: Coverage) -> Float[Tensor, " N"]:
        """Return the summand of the score, at most 0."""
        return -self.beta * (coverage.seen.clamp(min=1.0) - 1.0).sum(dim=1)


class SeeCoverage(WeightedCoverage):
    """``-beta * sum_t sum_j min(a_tj, c_<t,j)``, against repeated attention (See 2017, eq. 12).

    In the paper it is a training loss. Unlike `SummaryCoverage`, it penalises every repeated
    attention to a word, even if the total attention to the word is below 1.
    """

    def __call__(self, coverage: Coverage) -> Float[Tensor, " N"]:
        """Return the summand of the score, at most 0."""
        return -self.beta * coverage.again
