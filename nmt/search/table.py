"""The searches, length penalties and coverage penalties that a configuration can name."""

from typing import Final

from nmt.search.beam import BeamSearch
from nmt.search.coverage_penalty import (
    CoveragePenalty,
    GNMTCoverage,
    NoCoverage,
    SeeCoverage,
    SummaryCoverage,
)
from nmt.search.diverse_beam import DiverseBeamSearch
from nmt.search.greedy import GreedySearch
from nmt.search.length_penalty import (
    AveragePenalty,
    GNMTPenalty,
    LengthPenalty,
    NoPenalty,
    WordReward,
)
from nmt.search.sampling import SamplingSearch
from nmt.search.search import Search

SEARCHES: Final[dict[str, type[Search]]] = {
    "beam": BeamSearch,
    "greedy": GreedySearch,
    "diverse_beam": DiverseBeamSearch,
    "sampling": SamplingSearch,
}

LENGTH_PENALTIES: Final[dict[str, type[LengthPenalty]]] = {
    "none": NoPenalty,
    "average": AveragePenalty,
    "gnmt": GNMTPenalty,
    "word_reward": WordReward,
}

COVERAGE_PENALTIES: Final[dict[str, type[CoveragePenalty]]] = {
    "none": NoCoverage,
    "gnmt": GNMTCoverage,
    "summary": SummaryCoverage,
    "see": SeeCoverage,
}
