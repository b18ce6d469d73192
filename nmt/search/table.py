"""The searches, length penalties and coverage penalties that a configuration can name."""

from typing import Final

from nmt.search import beam, coverage_penalty, diverse_beam, greedy, length_penalty, sampling
from nmt.search.search import Search

SEARCHES: Final[dict[str, type[Search]]] = {
    "beam": beam.BeamSearch,
    "greedy": greedy.GreedySearch,
    "diverse_beam": diverse_beam.DiverseBeamSearch,
    "sampling": sampling.SamplingSearch,
}

LENGTH_PENALTIES: Final[dict[str, type[length_penalty.LengthPenalty]]] = {
    "none": length_penalty.NoPenalty,
    "average": length_penalty.AveragePenalty,
    "gnmt": length_penalty.GNMTPenalty,
    "word_reward": length_penalty.WordReward,
}

COVERAGE_PENALTIES: Final[dict[str, type[coverage_penalty.CoveragePenalty]]] = {
    "none": coverage_penalty.NoCoverage,
    "gnmt": coverage_penalty.GNMTCoverage,
    "summary": coverage_penalty.SummaryCoverage,
    "see": coverage_penalty.SeeCoverage,
}
