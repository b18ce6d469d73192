"""Length penalties: how a log-probability becomes a score that is fair to long translations.

Each further token makes a hypothesis less probable, so log-probability alone prefers the short.
"""

from abc import ABC, abstractmethod
from typing import Annotated, Final

import torch
from annotated_types import Ge
from torch import Tensor


class LengthPenalty(ABC):
    """The score of a hypothesis is its log-probability divided by something that grows with length.

    Lengths count EOS, as the log-probability does, and so are never zero.
    """

    @abstractmethod
    def divisor(self, length: Tensor) -> Tensor:
        """Positive, and never less for a longer hypothesis: `bound` relies on it."""

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """The score of finished hypotheses.

        Args:
            log_probability: of any shape, at most 0.
            length: tokens of each, EOS counted; of a shape that broadcasts.
        """
        return log_probability / self.divisor(length)

    def bound(self, log_probability: Tensor, longest: Tensor) -> Tensor:
        """The best score that an open hypothesis can still reach, if all goes well.

        Its log-probability can only fall, and what that is divided by can grow only until the
        hypothesis is as long as it may be; so no continuation scores higher than the
        log-probability of now over the divisor of then. Rounding keeps this order.

        Args:
            log_probability: so far, at most 0.
            longest: most tokens that it may have in the end, EOS counted.
        """
        return self.score(log_probability, longest)


class NoPenalty(LengthPenalty):
    """The log-probability itself."""

    def divisor(self, length: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(length)


class AveragePenalty(LengthPenalty):
    """The mean log-probability of a token (Jean 2015; Koehn & Knowles 2017, section 3.6)."""

    def divisor(self, length: Tensor) -> Tensor:
        """|Y|."""
        return length


class GNMTPenalty(LengthPenalty):
    """``log P / ((5 + |Y|) / 6) ** alpha`` (Wu 2016, eq. 14, without its coverage penalty).

    Args:
        alpha: 0 is no penalty; the paper found 0.6 to 0.7 best.
    """

    def __init__(self, *, alpha: Annotated[float, Ge(0.0)] = 0.6) -> None:
        assert alpha >= 0.0, "the divisor would fall with length, and `bound` be wrong"
        self.alpha = alpha

    def divisor(self, length: Tensor) -> Tensor:
        """lp(Y)."""
        return ((5 + length) / 6) ** self.alpha


LENGTH_PENALTIES: Final[dict[str, type[LengthPenalty]]] = {
    "none": NoPenalty,
    "average": AveragePenalty,
    "gnmt": GNMTPenalty,
}
