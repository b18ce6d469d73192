"""What a search finds."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One translation, as tokens.

    Attributes:
        tokens: without BOS and EOS.
        log_probability: sum of the natural log-probabilities of the tokens and of EOS.
        score: what hypotheses of one sentence are ranked by: `log_probability` under the length
            penalty.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float


def best_first(hypotheses: Iterable[Hypothesis]) -> list[Hypothesis]:
    """In the order of their scores; of equal ones that which comes first."""
    return sorted(hypotheses, key=lambda hypothesis: hypothesis.score, reverse=True)
