"""Length penalties: scores of finished hypotheses that are fair to the long ones.

Each further token makes a hypothesis less probable, so the log-probability prefers the short.
"""

from abc import ABC, abstractmethod
from math import inf
from typing import Annotated

import torch
from annotated_types import Ge, Le
from jaxtyping import Bool, Float, Int
from torch import Tensor


class LengthPenalty(ABC):
    """A score made of a log-probability that is fair to long hypotheses.

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
