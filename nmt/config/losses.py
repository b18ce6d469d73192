"""Options of the loss that are groups: scheduled sampling, guided attention, and REINFORCE."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from nmt.config.messages import refuse
from nmt.config.registry import Options, PlugIn
from nmt.config.values import Positive, PositiveStrength, Strength


class ScheduledSamplingConfig(Options):
    """Scheduled sampling: feeding predictions with linearly rising probability (Bengio 2015)."""

    start: Annotated[int, Field(ge=0)] = 0
    """Update at which the probability starts to rise from 0."""
    end: Positive = 20_000
    """Update at which it reaches `probability`."""
    probability: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    """Final probability of feeding a prediction instead of the reference token."""

    def _check(self) -> None:
        if self.end <= self.start:
            refuse("end", f"must be more than start ({self.start}), not {self.end}")


class GuidedAttentionConfig(Options):
    """Guided attention: supervision by `data.train.alignments` (Chen 2016; Liu 2016)."""

    loss: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    """Loss between attention weights and alignment links."""
    weight: PositiveStrength = 1.0
    """Weight of this loss, which is added to the cross-entropy."""


class ReinforceConfig(Options):
    """REINFORCE for hard attention, which samples positions (Xu 2015, eq. 11-13)."""

    weight: Strength = 1.0
    """Weight of this loss, which is added to the cross-entropy."""
    entropy: Strength = 0.01
    """Weight of the entropy bonus."""
    discount: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Discount of the rewards of later words; 0: a position is only rewarded for its own word."""


def list_terms(
    weights: Mapping[str, float], groups: Mapping[str, Options | None]
) -> dict[str, PlugIn]:
    """Return the loss terms that have a key of their own, by key.

    Args:
        weights: weight of each term that is set by a number; 0: off.
        groups: options of each term that has more than a weight; None: off.
    """
    options: dict[str, dict[str, Any]] = {}
    options |= {key: {"weight": weight} for key, weight in weights.items() if weight > 0.0}
    options |= {key: dict(group) for key, group in groups.items() if group is not None}
    return {key: PlugIn.model_validate({"name": key, **options[key]}) for key in options}
