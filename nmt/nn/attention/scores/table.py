"""The scores that a configuration can name."""

from typing import Final

from nmt.nn.attention.scores.additive import AdditiveScore, ConcatScore
from nmt.nn.attention.scores.content_free import LocationScore, UniformScore
from nmt.nn.attention.scores.coverage import (
    CoverageScore,
    FertilityCoverageScore,
    GRUCoverageScore,
    LocationAwareScore,
)
from nmt.nn.attention.scores.multiplicative import (
    CosineScore,
    DotScore,
    GeneralScore,
    ScaledDotScore,
)
from nmt.nn.attention.scores.score import Score

SCORES: Final[dict[str, type[Score]]] = {
    "additive": AdditiveScore,
    "concat": ConcatScore,
    "dot": DotScore,
    "scaled_dot": ScaledDotScore,
    "general": GeneralScore,
    "cosine": CosineScore,
    "location": LocationScore,
    "location_aware": LocationAwareScore,
    "coverage": CoverageScore,
    "coverage_fertility": FertilityCoverageScore,
    "coverage_gru": GRUCoverageScore,
    "uniform": UniformScore,
}
