"""Divergence detection: whether the loss has risen too far to recover."""

import math
from typing import Any, Final

# Number of updates over which the loss is averaged.
WINDOW: Final = 100
_WORSE_THAN_GUESSING: Final = 1.0  # nats above the loss of a uniform guess among all tokens
_FACTOR: Final = 2.0  # times the best mean
_LEAST_RISE: Final = 0.5  # nats; a loss near 0 can double without having diverged


class DivergenceDetector:
    """Detector that compares the mean loss of every 100 updates after the warm-up with two bounds.

    The bounds are ``log V + 1``, and twice the lowest mean so far (at least 0.5 nats above it). The
    loss is the cross-entropy of a token in nats, without smoothing or other terms. The bounds
    therefore have the same meaning for every objective. Skipped updates do not count.

    Args:
        num_classes: V, tokens of the target vocabulary.
        warmup: updates of the warm-up; windows that begin within it are not checked.
    """

    def __init__(self, num_classes: int, warmup: int) -> None:
        self._guess = math.log(num_classes)
        self._warmup = warmup
        self._best = math.inf
        self._sampling_probability = 0.0

    def check(
        self, update: int, loss: float, num_tokens: float, sampling_probability: float = 0.0
    ) -> str | None:
        """Return why the window up to an update has diverged; None: it has not diverged.

        Args:
            update: the latest update.
            loss: sum of the negative log-likelihood over the tokens of the window.
            num_tokens: tokens of the window; 0 if all its updates were skipped.
            sampling_probability: probability that the decoder is fed its own predictions. When it
                rises, losses cannot be compared with earlier ones.
        """
        first = update - WINDOW + 1
        if first <= self._warmup or not num_tokens:
            return None
        mean = loss / num_tokens
        best = self._best if sampling_probability <= self._sampling_probability else math.inf
        self._best, self._sampling_probability = min(best, mean), sampling_probability
        found = f"the mean loss of updates {first:,} to {update:,} is {mean:.4g}"
        if mean > self._guess + _WORSE_THAN_GUESSING:
            return f"{found}, worse than a uniform guess among all tokens ({self._guess:.2f})"
        if mean > max(_FACTOR * best, best + _LEAST_RISE):
            return f"{found}, more than twice the best mean before ({best:.2f})"
        return None

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs to continue from here."""
        best = None if math.isinf(self._best) else self._best
        return {"best": best, "feed_own": self._sampling_probability}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._best = math.inf if state["best"] is None else state["best"]
        self._sampling_probability = state["feed_own"]
