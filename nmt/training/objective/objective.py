"""The objective of training, for one batch: the cross-entropy and the terms added to it."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nmt.config.training import TrainingConfig
from nmt.core.batch import Batch, map_tensors
from nmt.core.special_tokens import PAD
from nmt.nn.decoders.interface import DecoderOutput
from nmt.nn.model import Model
from nmt.training.objective.attention_loss import AttentionLoss, Reinforce
from nmt.training.objective.cross_entropy import (
    TokenLoss,
    chunked_cross_entropy,
    label_smoothed_nll,
)


@dataclass(frozen=True)
class Objective:
    """The training objective: cross-entropy plus optional terms.

    Attributes:
        label_smoothing: share of the probability spread over all words.
        attention: the terms on the attention weights.
        r_drop: weight of `symmetric_kl`; above 0, each sentence is computed twice.
        precision: dtype of the model's computation; losses are always float32.
        reinforce: the term for sampled alignments.
    """

    label_smoothing: float = 0.0
    attention: AttentionLoss = field(default_factory=AttentionLoss)
    r_drop: float = 0.0
    precision: torch.dtype = torch.float32
    reinforce: Reinforce = field(default_factory=Reinforce)

    def __call__(self, model: Model, batch: Batch, sampling_probability: float = 0.0) -> TokenLoss:
        """Return the losses of a batch that is on the model's device.

        Args:
            model: in training mode.
            batch: sentence pairs.
            sampling_probability: probability that the decoder is fed its own predictions.
        """
        has_two_passes = self.r_drop > 0.0
        if has_two_passes:
            batch = duplicate_batch(batch)
        reduced = self.precision != torch.float32
        with torch.autocast(batch.source.device.type, dtype=self.precision, enabled=reduced):
            decoded = model.decode(batch, sampling_probability)
            log_probabilities = None
            if has_two_passes:  # share one log-softmax, which takes most of the memory
                log_probabilities = model.projection(decoded.vectors).log_softmax(-1, torch.float32)
        words = self._token_loss(model, batch, decoded, log_probabilities)
        objective, likelihood = words.objective, words.negative_log_likelihood
        terms = self.attention(batch, decoded.weights)
        if decoded.sampled is not None:
            rewards = words.log_probabilities
            terms.append(self.reinforce(decoded.sampled, rewards, batch.label_mask))
        if terms:
            objective = objective + torch.stack(terms).sum()
        if log_probabilities is not None:
            apart = symmetric_kl(log_probabilities, batch.labels)
            objective = 0.5 * objective + self.r_drop * apart
            likelihood = 0.5 * likelihood
        return TokenLoss(objective, likelihood, words.log_probabilities)

    def _token_loss(
        self, model: Model, batch: Batch, decoded: DecoderOutput, log_probabilities: Tensor | None
    ) -> TokenLoss:
        if log_probabilities is not None:
            return label_smoothed_nll(log_probabilities, batch.labels, self.label_smoothing)
        projection = model.projection
        assert isinstance(projection, nn.Linear), "weights of 8 bits are not trained"
        weight, bias, labels = projection.weight, projection.bias, batch.labels
        return chunked_cross_entropy(decoded.vectors, weight, bias, labels, self.label_smoothing)


def build_objective(config: TrainingConfig, precision: torch.dtype) -> Objective:
    """Return the objective that the options describe."""
    attention = AttentionLoss(config.coverage_loss)
    if (guided := config.guided_attention) is not None:
        attention = AttentionLoss(config.coverage_loss, guided.weight, guided.loss)
    reinforce = Reinforce(**dict(config.reinforce))
    return Objective(config.label_smoothing, attention, config.r_drop, precision, reinforce)


def duplicate_batch(batch: Batch) -> Batch:
    """Return the batch concatenated with itself, `[2B ...]`."""
    both = map_tensors(lambda tensor: torch.cat((tensor, tensor)), batch)
    return replace(both, num_target_tokens=2 * batch.num_target_tokens)


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
