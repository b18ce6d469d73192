"""A length penalty: the log-probability, divided by a power of the length."""

from typing import Annotated

from annotated_types import Ge, Le
from torch import Tensor

from nmt.search.length_penalty import LengthPenalty


class PowerPenalty(LengthPenalty):
    """``log P / |Y| ** power``.

    Args:
        power: 0 is no penalty, 1 the mean.
    """

    def __init__(self, *, power: Annotated[float, Ge(0.0), Le(1.0)] = 0.5) -> None:
        self.power = power

    def score(self, log_probability: Tensor, length: Tensor) -> Tensor:
        """Return the score of finished hypotheses."""
        return log_probability / length**self.power
