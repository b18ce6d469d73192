"""The objective of training, for one batch: the cross-entropy and the terms added to it."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.config.registry import LOSSES
from nmt.config.training import TrainingConfig
from nmt.core.batch import Batch, map_tensors
from nmt.nn.decoders.interface import DecoderOutput
from nmt.nn.model import Model
from nmt.training.objective.cross_entropy import (
    TokenLoss,
    chunked_cross_entropy,
    label_smoothed_nll,
)
from nmt.training.objective.loss_term import LossTerm, Outputs
from nmt.training.objective.output_loss import LabelSmoothing


@dataclass(frozen=True)
class Objective:
    """The training objective: cross-entropy plus optional terms.

    Attributes:
        terms: the loss terms.
        precision: dtype of the model's computation; losses are always float32.
    """

    terms: tuple[LossTerm, ...] = ()
    precision: torch.dtype = torch.float32

    def __call__(self, model: Model, batch: Batch, sampling_probability: float = 0.0) -> TokenLoss:
        """Return the losses of a batch that is on the model's device.

        Args:
            model: in training mode.
            batch: sentence pairs.
            sampling_probability: probability that the decoder is fed its own predictions.
        """
        has_two_passes = any(term.needs_two_passes for term in self.terms)
        if has_two_passes:
            batch = duplicate_batch(batch)
        reduced = self.precision != torch.float32
        with torch.autocast(batch.source.device.type, dtype=self.precision, enabled=reduced):
            decoded = model.decode(batch, sampling_probability)
            log_probabilities = None
            if any(term.needs_distribution for term in self.terms):
                # Share one log-softmax, which takes most of the memory.
                log_probabilities = model.projection(decoded.vectors).log_softmax(-1, torch.float32)
        words = self._token_loss(model, batch, decoded, log_probabilities)
        objective, likelihood = words.objective, words.negative_log_likelihood
        outputs = Outputs(batch, decoded, words.log_probabilities, log_probabilities)
        for of_two_passes in (False, True):  # in the order of earlier versions, to the last bit
            terms = [term for term in self.terms if term.needs_two_passes == of_two_passes]
            added = [value for term in terms if (value := term(outputs)) is not None]
            if added:
                objective = objective + torch.stack(added).sum()
        if has_two_passes:
            objective, likelihood = 0.5 * objective, 0.5 * likelihood
        return TokenLoss(objective, likelihood, words.log_probabilities)

    def _token_loss(
        self, model: Model, batch: Batch, decoded: DecoderOutput, log_probabilities: Tensor | None
    ) -> TokenLoss:
        weights = [term.weight for term in self.terms if isinstance(term, LabelSmoothing)]
        smoothing = sum(weights, start=0.0)
        if log_probabilities is not None:
            return label_smoothed_nll(log_probabilities, batch.labels, smoothing)
        projection = model.projection
        assert isinstance(projection, nn.Linear), "weights of 8 bits are not trained"
        weight, bias, labels = projection.weight, projection.bias, batch.labels
        return chunked_cross_entropy(decoded.vectors, weight, bias, labels, smoothing)


def build_objective(config: TrainingConfig, precision: torch.dtype) -> Objective:
    """Return the objective that the options describe."""
    terms = config.loss_terms().values()
    return Objective(tuple(LOSSES.create(term) for term in terms), precision)


def duplicate_batch(batch: Batch) -> Batch:
    """Return the batch concatenated with itself, `[2B ...]`."""
    both = map_tensors(lambda tensor: torch.cat((tensor, tensor)), batch)
    return replace(both, num_target_tokens=2 * batch.num_target_tokens)
