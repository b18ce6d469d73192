"""Loss terms on the distributions of words: label smoothing, R-Drop, and the entropy bonus."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from nmt.config.values import PositiveStrength, Probability
from nmt.core.special_tokens import PAD
from nmt.training.objective.loss_term import LossTerm, Outputs


@dataclass(frozen=True, kw_only=True)
class LabelSmoothing(LossTerm):
    """Label smoothing (Szegedy 2016, section 7).

    It adds nothing itself: `Objective` computes it together with the cross-entropy.

    Args:
        weight: share of the probability spread over all words.
    """

    weight: Probability = 0.1

    def __call__(self, outputs: Outputs) -> None:
        """Return None."""


@dataclass(frozen=True, kw_only=True)
class RDrop(LossTerm):
    """R-Drop: `symmetric_kl` of two passes over each sentence (Liang 2021).

    Args:
        weight: weight of the loss; half of the paper's alpha.
    """

    needs_distribution: ClassVar[bool] = True
    needs_two_passes: ClassVar[bool] = True
    weight: PositiveStrength = 1.0

    def __call__(self, outputs: Outputs) -> Float[Tensor, ""]:
        """Return the loss for both passes."""
        assert outputs.log_probabilities is not None
        return 2 * self.weight * symmetric_kl(outputs.log_probabilities, outputs.batch.labels)


@dataclass(frozen=True, kw_only=True)
class EntropyBonus(LossTerm):
    """Bonus for distributions of high entropy (Pereyra 2017, section 3).

    Args:
        weight: weight of the entropy, which is subtracted from the loss.
    """

    needs_distribution: ClassVar[bool] = True
    weight: PositiveStrength = 0.1

    def __call__(self, outputs: Outputs) -> Float[Tensor, ""]:
        """Return the negative entropy."""
        logs = outputs.log_probabilities
        assert logs is not None
        entropy = -(logs.exp() * logs).sum(dim=-1)
        return -self.weight * (entropy * outputs.batch.label_mask).sum()


def symmetric_kl(
    log_probabilities: Float[Tensor, "B T V"], labels: Int[Tensor, "B T"]
) -> Float[Tensor, ""]:
    """Return ``1/2 (KL(p || q) + KL(q || p))`` of two passes over each word, summed over words.

    The loss makes the model consistent under dropout (R-Drop: Liang 2021, eq. 2). The full loss of
    the paper (eq. 4) adds the losses of both passes and alpha times this term. It is twice our
    objective, with alpha = 2 `r_drop`.

    Args:
        log_probabilities: log-probabilities of all words; the second half of B is a second pass
            over the sentences of the first half.
        labels: the correct words; PAD is ignored.
    """
    first, second = log_probabilities.chunk(2)
    apart = ((first.exp() - second.exp()) * (first - second)).sum(dim=-1)
    return 0.5 * (apart * (labels.chunk(2)[0] != PAD)).sum()
