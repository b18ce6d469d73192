"""Loss terms on the attention weights: REINFORCE, coverage, and guidance by given alignments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nmt.core.batch import Batch
from nmt.nn.attention.alignments.alignment import SampledAlignment


@dataclass(frozen=True)
class Reinforce:
    """How an alignment learns that samples positions (Williams 1992; Xu 2015, eq. 11-13).

    Attributes:
        weight: of the loss (lambda_r).
        entropy: weight of the entropy bonus (lambda_e).
        discount: how much of the reward of the next word a position shares in; 0: a position
            answers for its own word only.
    """

    weight: float = 1.0
    entropy: float = 0.01
    discount: float = 0.0

    def __call__(
        self,
        sampled: SampledAlignment,
        log_probabilities: Float[Tensor, "B T"],
        real: Bool[Tensor, "B T"],
    ) -> Float[Tensor, ""]:
        """The loss: of the words whose positions were sampled, and the entropy of all.

        The reward of a position is the log-probability of its word. Its baseline is the mean
        reward of the batch, and it is divided by the standard deviation, so that the weight means
        the same early and late in training.

        Args:
            sampled: how likely what was sampled had been.
            log_probabilities: of the labels, without a gradient.
            real: True where a label is a real token.
        """
        counted = (real & sampled.is_sampled).to(log_probabilities.dtype)
        number = counted.sum().clamp(min=1.0)
        reward = self._returns(log_probabilities * real)
        centred = (reward - (reward * counted).sum() / number) * counted
        advantage = centred / (centred.square().sum() / number).sqrt().clamp(min=1e-3)
        policy = -(advantage * sampled.log_probability).sum()
        return self.weight * policy - self.entropy * (sampled.entropy * real).sum()

    def _returns(self, rewards: Float[Tensor, "B T"]) -> Float[Tensor, "B T"]:
        if self.discount == 0.0:
            return rewards
        total = torch.zeros_like(rewards[:, 0])
        returns = []
        for reward in reversed(rewards.unbind(1)):
            total = reward + self.discount * total
            returns.append(total)
        return torch.stack(returns[::-1], dim=1)


def coverage_loss(weights: Float[Tensor, "B T S"], real: Bool[Tensor, "B T"]) -> Float[Tensor, ""]:
    """``sum_s min(a_t(s), sum_{t' < t} a_t'(s))``, against looking twice (See 2017, eq. 12-13).

    Args:
        weights: where the attention looked.
        real: True where a label is a real token.

    Returns:
        The sum over the words.
    """
    weights = weights.to(torch.promote_types(weights.dtype, torch.float32))
    before = weights.cumsum(1) - weights
    return (torch.minimum(weights, before).sum(-1) * real).sum()


def guided_cross_entropy(
    weights: Float[Tensor, "B T S"], gold: Float[Tensor, "B T S"]
) -> Float[Tensor, ""]:
    """``- sum_s g_t(s) log a_t(s)``, summed over the words that have links (Chen 2016, eq. 7).

    Args:
        weights: where the attention looked.
        gold: where it should have; each row sums to one, or is all zero for a word without links.
    """
    tiny = torch.finfo(torch.float32).tiny
    return -(gold * weights.float().clamp(min=tiny).log()).sum()


def guided_squared_error(
    weights: Float[Tensor, "B T S"], gold: Float[Tensor, "B T S"]
) -> Float[Tensor, ""]:
    """``1/2 sum_s (g_t(s) - a_t(s))^2``, over the words that have links (Liu 2016, eq. 10).

    Args:
        weights: where the attention looked.
        gold: where it should have; each row sums to one, or is all zero for a word without links.
    """
    linked = gold.sum(-1, keepdim=True) > 0
    return 0.5 * ((gold - weights.float()).square() * linked).sum()


GUIDED: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "cross_entropy": guided_cross_entropy,
    "squared_error": guided_squared_error,
}


@dataclass(frozen=True)
class AttentionLoss:
    """The terms on the attention weights.

    Attributes:
        coverage: weight of `coverage_loss`.
        guided: weight of the guiding loss.
        guided_loss: which; see `GUIDED`.
    """

    coverage: float = 0.0
    guided: float = 0.0
    guided_loss: str = "cross_entropy"

    def __call__(self, batch: Batch, weights: Float[Tensor, "B T S"]) -> list[Float[Tensor, ""]]:
        """Return each term, weighted and summed over the words.

        Args:
            batch: with `alignment` where the attention is guided.
            weights: where the attention looked.
        """
        terms = []
        if self.coverage > 0.0:
            terms.append(self.coverage * coverage_loss(weights, batch.label_mask))
        if self.guided > 0.0 and batch.alignment is not None:
            terms.append(self.guided * GUIDED[self.guided_loss](weights, batch.alignment))
        return terms
