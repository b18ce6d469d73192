"""The scores that a configuration can name."""

from typing import Final

from nmt.nn.attention.scores import additive, content_free, coverage, multiplicative
from nmt.nn.attention.scores.score import Score

SCORES: Final[dict[str, type[Score]]] = {
    "additive": additive.AdditiveScore,
    "concat": additive.ConcatScore,
    "dot": multiplicative.DotScore,
    "scaled_dot": multiplicative.ScaledDotScore,
    "general": multiplicative.GeneralScore,
    "cosine": multiplicative.CosineScore,
    "location": content_free.LocationScore,
    "location_aware": coverage.LocationAwareScore,
    "coverage": coverage.CoverageScore,
    "coverage_fertility": coverage.FertilityCoverageScore,
    "coverage_gru": coverage.GRUCoverageScore,
    "uniform": content_free.UniformScore,
}
