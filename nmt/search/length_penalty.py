"""Length penalties, which normalise the scores of finished hypotheses by their length.

Each token lowers the log-probability of a hypothesis, so without a penalty search prefers short
translations.
"""

from abc import ABC, abstractmethod
from math import inf
from typing import Annotated

import torch
from annotated_types import Ge, Le
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nmt.search.shapes import Chosen


class LengthPenalty(ABC):
    """Base class of length-normalised scores.

    Lengths include EOS, like the log-probability, so they are never zero.
    """

    @abstractmethod
    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Return the score of finished hypotheses.

        It must not decrease with the log-probability or with the length: `can_beat` relies on it.

        Args:
            log_probability: of any shape, at most 0.
            length: number of tokens, including EOS; its shape must broadcast.
        """

    def can_beat(
        self,
        best: Float[Tensor, "N 1"],
        totals: Float[Tensor, "N C"],
        is_open: Chosen,
        longest: Int[Tensor, "N 1"],
    ) -> Bool[Tensor, "N 1"]:
        """Return whether an open hypothesis of a sentence can still score above its `best`.

        The log-probability of a hypothesis can only fall, and its length is limited. So its current
        log-probability at the maximum length bounds its final score. Rounding keeps this order.

        Args:
            best: a score for each sentence.
            totals: log-probabilities so far.
            is_open: which hypotheses are open.
            longest: maximum number of tokens, including EOS.
        """
        highest = totals.masked_fill(~is_open, -inf).amax(dim=1, keepdim=True)
        return self.score(highest, longest.to(highest.dtype)) > best


class NoPenalty(LengthPenalty):
    """The log-probability itself.

    ``score = log P``.
    """

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Return ``log P``."""
        return log_probability / torch.ones_like(length)


class AveragePenalty(LengthPenalty):
    """The mean log-probability of a token (Jean 2015; Koehn & Knowles 2017, section 3.6).

    ``score = log P / |Y|``.
    """

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Return ``log P / |Y|``."""
        return log_probability / length


class GNMTPenalty(LengthPenalty):
    """``log P / ((5 + |Y|) / 6) ** alpha`` (Wu 2016, eq. 14).

    Args:
        alpha: 0 is no penalty; the paper found 0.6 to 0.7 best.
    """

    def __init__(self, *, alpha: Annotated[float, Ge(0.0), Le(10)] = 0.6) -> None:
        assert alpha >= 0.0, "the score would fall with length, and `can_beat` would be wrong"
        self.alpha = alpha

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Return ``log P / lp(Y)``."""
        return log_probability / ((5 + length) / 6) ** self.alpha


class WordReward(LengthPenalty):
    """``log P + reward * |Y|``: a constant reward for each token (He 2016, section 3.2).

    Args:
        reward: 0 is no penalty.
    """

    def __init__(self, *, reward: Annotated[float, Ge(0.0), Le(1_000)] = 0.5) -> None:
        assert reward >= 0.0, "the score would fall with length, and `can_beat` would be wrong"
        self.reward = reward

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Return ``log P + reward * |Y|``."""
        return log_probability + self.reward * length
