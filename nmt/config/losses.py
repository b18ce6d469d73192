"""Options of loss terms, and of scheduled sampling."""

from typing import Annotated, Literal

from pydantic import Field

from nmt.config.messages import refuse
from nmt.config.registry import Options
from nmt.config.values import Chance, Positive, PositiveStrength, Strength

AttentionLoss = Literal["cross_entropy", "squared_error"]


class ScheduledSamplingConfig(Options):
    """Scheduled sampling: feeding predictions with linearly rising probability (Bengio 2015).

    Attributes:
        start: Update at which the probability starts to rise from 0.
        end: Update at which it reaches `probability`.
        probability: Final probability of feeding a prediction instead of the reference token.
    """

    start: Annotated[int, Field(ge=0)] = 0
    end: Positive = 20_000
    probability: Chance = 0.25

    def _check(self) -> None:
        if self.end <= self.start:
            refuse("end", f"must be more than start ({self.start}), not {self.end}")


class GuidedAttentionConfig(Options):
    """Guided attention: supervision by `data.train.alignments` (Chen 2016; Liu 2016).

    Attributes:
        loss: Loss between attention weights and alignment links.
        weight: Weight of this loss, which is added to the cross-entropy.
    """

    loss: AttentionLoss = "cross_entropy"
    weight: PositiveStrength = 1.0


class ReinforceConfig(Options):
    """REINFORCE for hard attention, which samples positions (Xu 2015, eq. 11-13).

    Attributes:
        weight: Weight of this loss, which is added to the cross-entropy.
        entropy: Weight of the entropy bonus.
        discount: Discount of the rewards of later words; 0: a position is only rewarded for its own
            word.
    """

    weight: Strength = 1.0
    entropy: Strength = 0.01
    discount: Chance = 0.0
