"""The result of a search."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One translation, as tokens.

    Attributes:
        tokens: without BOS and EOS.
        log_probability: sum of the natural log-probabilities of the tokens and EOS.
        score: ranks the hypotheses of one sentence. A search sums the log-probabilities of the
            tokens with their penalties (repetition, diverse beam), applies the length penalty and
            adds the coverage penalty. With minimum Bayes risk, it is the expected utility.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float


# The hypotheses of each sentence, best first.
NBest = list[list[Hypothesis]]
# The result for a line without text, which no model translates.
NOTHING = Hypothesis(tokens=(), log_probability=0.0, score=0.0)
