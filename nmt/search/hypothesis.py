"""What a search finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One translation, as tokens.

    Attributes:
        tokens: without BOS and EOS.
        log_probability: sum of the natural log-probabilities of the tokens and of EOS.
        score: what hypotheses of one sentence are ranked by. Of a search it is the sum of what the
            tokens counted for (their log-probabilities, and what the repetition penalty and the
            groups of a diverse beam held against them) under the length penalty, and the coverage
            penalty; under minimum Bayes risk, what the text is worth.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
