"""Exponential moving average of the weights."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from nmt.training.swapped_weights import swapped_weights


class ExponentialMovingAverage:
    """Keeps ``average = d * average + (1 - d) * weights`` beside a model (Polyak & Juditsky 1992).

    Early on d is smaller, ``min(decay, (1 + n) / (10 + n))`` after n updates, so that the average
    does not remember where the weights started.

    Args:
        model: whose parameters are averaged.
        decay: d in the long run.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._model = model
        self._parameters = dict(model.named_parameters())
        self._average = {name: p.detach().clone() for name, p in self._parameters.items()}

    def update(self, num_updates: int) -> None:
        """Move towards the weights as they are now, after `num_updates` updates."""
        decay = min(self.decay, (1 + num_updates) / (10 + num_updates))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self._average.values()), list(self._parameters.values()), 1.0 - decay
            )

    def average_parameters(self) -> AbstractContextManager[None]:
        """The model holds the average inside the `with`, and its own weights again after it."""
        return swapped_weights(self._model, self._average)

    def tensors(self) -> dict[str, Tensor]:
        """The average, for a checkpoint."""
        return dict(self._average)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        assert tensors.keys() == self._average.keys()
        for name, average in self._average.items():
            average.copy_(tensors[name])
