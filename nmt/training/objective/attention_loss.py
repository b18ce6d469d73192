"""Loss terms on the attention weights: REINFORCE, coverage, and guided attention."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from nmt.config.losses import AttentionLoss
from nmt.config.values import Chance, PositiveStrength, Strength
from nmt.training.objective.loss_term import LossTerm, Outputs


@dataclass(frozen=True, kw_only=True)
class Reinforce(LossTerm):
    """REINFORCE loss of sampled (hard) attention (Williams 1992; Xu 2015, eq. 11-13).

    Args:
        weight: weight of the loss (lambda_r).
        entropy: weight of the entropy bonus (lambda_e).
        discount: discount factor on the rewards of later words; 0: a position is only rewarded for
            its own word.
    """

    weight: Strength = 1.0
    entropy: Strength = 0.01
    discount: Chance = 0.0

    def __call__(self, outputs: Outputs) -> Float[Tensor, ""] | None:
        """Return the policy loss of words with sampled positions, minus the entropy of all words.

        The reward of a position is the log-probability of its word. Rewards are standardised by
        the mean and standard deviation of the batch, so that `weight` has the same effect early
        and late in training.
        """
        sampled, log_probabilities = outputs.decoded.sampled, outputs.label_log_probabilities
        if sampled is None:
            return None
        real = outputs.batch.label_mask
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


@dataclass(frozen=True, kw_only=True)
class CoverageLoss(LossTerm):
    """Coverage loss against repeated attention (See 2017, eq. 12-13).

    The loss of a word is ``sum_s min(a_t(s), sum_{t' < t} a_t'(s))``.

    Args:
        weight: weight of the loss.
    """

    needs_attention: ClassVar[bool] = True
    weight: PositiveStrength = 1.0

    def __call__(self, outputs: Outputs) -> Float[Tensor, ""]:
        """Return the loss of all words."""
        weights = outputs.decoded.weights
        weights = weights.to(torch.promote_types(weights.dtype, torch.float32))
        before = weights.cumsum(1) - weights
        covered = torch.minimum(weights, before).sum(-1)
        return self.weight * (covered * outputs.batch.label_mask).sum()


@dataclass(frozen=True, kw_only=True)
class GuidedAttention(LossTerm):
    """Supervision of the attention by given alignments.

    The target weights g of a word sum to one over its links. The cross-entropy is
    ``- sum_s g_t(s) log a_t(s)`` (Chen 2016, eq. 7). The squared error is
    ``1/2 sum_s (g_t(s) - a_t(s))^2`` (Liu 2016, eq. 10).

    Args:
        loss: loss between attention weights and alignment links.
        weight: weight of the loss.
    """

    needs_attention: ClassVar[bool] = True
    needs_links: ClassVar[bool] = True
    loss: AttentionLoss = "cross_entropy"
    weight: PositiveStrength = 1.0

    def __call__(self, outputs: Outputs) -> Float[Tensor, ""] | None:
        """Return the loss of the words that have links; None: no sentence has alignments."""
        weights, gold = outputs.decoded.weights.float(), outputs.batch.alignment
        if gold is None:
            return None
        if self.loss == "squared_error":
            linked = gold.sum(-1, keepdim=True) > 0
            return self.weight * 0.5 * ((gold - weights).square() * linked).sum()
        tiny = torch.finfo(torch.float32).tiny
        return -self.weight * (gold * weights.clamp(min=tiny).log()).sum()
