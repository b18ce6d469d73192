"""Notice that a training has diverged: its loss has risen too far to come back."""

import math
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

WINDOW: Final = 100
"""Updates whose mean loss is looked at."""
_WORSE_THAN_GUESSING: Final = 1.0  # nats above the loss of a guess among all tokens
_FACTOR: Final = 2.0  # of the best mean
_LEAST_RISE: Final = 0.5  # nats: what is near 0 doubles without meaning anything

_LARGEST: Final = 1e300  # in place of a loss that no number can be, as a saved state has numbers


@dataclass(frozen=True)
class Divergence:
    """A mean loss that is too high.

    Attributes:
        first: update of the window.
        last: update of the window.
        loss: its mean.
        best: lowest mean of a window before it; infinite where it is the first.
        guess: loss of a guess among all tokens.
    """

    first: int
    last: int
    loss: float
    best: float
    guess: float

    def __str__(self) -> str:
        text = f"the mean loss of updates {self.first:,} to {self.last:,} is {self.loss:.4g}"
        if self.loss > self.guess + _WORSE_THAN_GUESSING:
            return f"{text}, worse than a guess among all tokens ({self.guess:.2f})"
        return f"{text}, more than twice the best one before ({self.best:.2f})"


class DivergenceDetector:
    """Compares the mean loss of every 100 updates after the warm-up with two bounds.

    The loss is the cross-entropy of a token in nats, without smoothing or further terms, so that
    the bounds mean the same for every objective. They are ``log V + 1``, and twice the lowest mean
    so far (if that is at least half a nat more). Updates that were skipped do not count.

    Args:
        num_classes: V, tokens of the target vocabulary.
        warmup: updates of the warm-up; windows that begin within it are not looked at.
        device: where the losses are.
    """

    def __init__(self, num_classes: int, warmup: int, device: torch.device) -> None:
        self._guess = math.log(num_classes)
        self._warmup = warmup
        self._best = math.inf
        self._sampling_probability = 0.0
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)  # loss, tokens

    def add(self, likelihood: Tensor, num_tokens: int, norm: Tensor) -> None:
        """Count an update, unless its gradient norm is not finite: then it was skipped.

        Args:
            likelihood: scalar, sum of the negative log-likelihood over tokens.
            num_tokens: how many.
            norm: scalar, of the gradient.
        """
        row = torch.stack([likelihood, torch.full_like(likelihood, num_tokens)])
        finite = torch.nan_to_num(row.double(), nan=_LARGEST, posinf=_LARGEST)
        self._sums += torch.where(torch.isfinite(norm), finite, 0.0)

    def check(self, update: int, sampling_probability: float = 0.0) -> Divergence | None:
        """Return what is wrong with the window that ends with an update, if anything is.

        Args:
            update: the latest; what is not a multiple of 100 ends no window.
            sampling_probability: the chance that the decoder is fed its own words. Where it has
                risen, losses do not compare with those before.
        """
        if update % WINDOW:
            return None
        loss, num_tokens = self._sums.tolist()  # waits for the device
        self._sums.zero_()
        if update - WINDOW < self._warmup or not num_tokens:
            return None
        mean = loss / num_tokens
        best = self._best if sampling_probability <= self._sampling_probability else math.inf
        bounds = (self._guess + _WORSE_THAN_GUESSING, max(_FACTOR * best, best + _LEAST_RISE))
        self._best, self._sampling_probability = min(best, mean), sampling_probability
        if mean <= min(bounds):
            return None
        return Divergence(update - WINDOW + 1, update, mean, best, self._guess)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs to continue from here."""
        best = None if math.isinf(self._best) else self._best
        return {"sums": self._sums.tolist(), "best": best, "feed_own": self._sampling_probability}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._sums.copy_(torch.tensor(state["sums"], dtype=torch.float64))
        self._best = math.inf if state["best"] is None else state["best"]
        self._sampling_probability = state["feed_own"]
