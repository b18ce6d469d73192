"""Loss terms on the attention weights: REINFORCE, coverage, and guided attention."""

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
    """REINFORCE loss of sampled (hard) attention (Williams 1992; Xu 2015, eq. 11-13).

    Attributes:
        weight: weight of the loss (lambda_r).
        entropy: weight of the entropy bonus (lambda_e).
        discount: discount factor on the rewards of later words; 0: the reward of a position is
            only its own word's.
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
        """Return the policy loss of words with sampled positions, minus the entropy of all words.

        The reward of a position is the log-probability of its word. Rewards are standardised by
        the mean and standard deviation of the batch, so that `weight` has the same effect early
        and late in training.

        Args:
            sampled: log-probabilities and entropies of the sampled positions.
            log_probabilities: log-probabilities of the labels, without gradient.
            real: True for labels that are not padding.
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
    """Return the coverage loss against repeated attention (See 2017, eq. 12-13).

    The loss of a word is ``sum_s min(a_t(s), sum_{t' < t} a_t'(s))``.

    Args:
        weights: attention weights.
        real: True for labels that are not padding.

    Returns:
        The sum over the words.
    """
    weights = weights.to(torch.promote_types(weights.dtype, torch.float32))
    before = weights.cumsum(1) - weights
    return (torch.minimum(weights, before).sum(-1) * real).sum()


def guided_cross_entropy(
    weights: Float[Tensor, "B T S"], gold: Float[Tensor, "B T S"]
) -> Float[Tensor, ""]:
    """Return the cross-entropy of guided attention (Chen 2016, eq. 7).

    The loss is ``- sum_s g_t(s) log a_t(s)``, summed over the words that have links.

    Args:
        weights: attention weights.
        gold: target weights; each row sums to one, or is all zero for a word without links.
    """
    tiny = torch.finfo(torch.float32).tiny
    return -(gold * weights.float().clamp(min=tiny).log()).sum()


def guided_squared_error(
    weights: Float[Tensor, "B T S"], gold: Float[Tensor, "B T S"]
) -> Float[Tensor, ""]:
    """Return the squared error of guided attention (Liu 2016, eq. 10).

    The loss is ``1/2 sum_s (g_t(s) - a_t(s))^2``, summed over the words that have links.

    Args:
        weights: attention weights.
        gold: target weights; each row sums to one, or is all zero for a word without links.
    """
    linked = gold.sum(-1, keepdim=True) > 0
    return 0.5 * ((gold - weights.float()).square() * linked).sum()


GUIDED: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "cross_entropy": guided_cross_entropy,
    "squared_error": guided_squared_error,
}


@dataclass(frozen=True)
class AttentionLoss:
    """The coverage loss and the guided attention loss.

    Attributes:
        coverage: weight of `coverage_loss`.
        guided: weight of the guided attention loss.
        guided_loss: its name in `GUIDED`.
    """

    coverage: float = 0.0
    guided: float = 0.0
    guided_loss: str = "cross_entropy"

    def __call__(self, batch: Batch, weights: Float[Tensor, "B T S"]) -> list[Float[Tensor, ""]]:
        """Return each term, weighted and summed over the words.

        Args:
            batch: has `alignment` if the attention is guided.
            weights: attention weights.
        """
        terms = []
        if self.coverage > 0.0:
            terms.append(self.coverage * coverage_loss(weights, batch.label_mask))
        if self.guided > 0.0 and batch.alignment is not None:
            terms.append(self.guided * GUIDED[self.guided_loss](weights, batch.alignment))
        return terms
