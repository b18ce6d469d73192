"""Sums of what updates report, kept on the device: metrics them is what waits for it."""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

_SUMS: Final = 5  # likelihood, objective, tokens, gradient norm, updates


@dataclass(frozen=True)
class TrainingMetrics:
    """Means over the good updates since the last metrics; nan where there was none.

    Attributes:
        loss: negative log-likelihood of a token, in nats.
        objective: smoothed loss of a token.
        gradient_norm: before clipping.
        num_skipped: updates skipped so far for a non-finite loss or gradient, all of training.
    """

    loss: float
    objective: float
    gradient_norm: float
    num_skipped: int


class RunningMetrics:
    """What the updates since the last metrics add up to, and how many in a row were bad.

    Args:
        device: where the losses are.
    """

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(_SUMS, dtype=torch.float64, device=device)
        # In a row now, most in a row ever, all of training.
        self._bad = torch.zeros(3, dtype=torch.int64, device=device)

    def add(self, objective: Tensor, likelihood: Tensor, num_tokens: int, norm: Tensor) -> None:
        """Count an update; it was skipped where its gradient norm is not finite.

        Args:
            objective: scalar, sum of the smoothed loss over tokens.
            likelihood: scalar, sum of the negative log-likelihood over tokens.
            num_tokens: how many.
            norm: scalar, of the gradient.
        """
        good = torch.isfinite(norm)
        tokens = torch.full_like(norm, num_tokens)
        row = torch.stack([likelihood, objective, tokens, norm, torch.ones_like(norm)])
        self._sums += torch.where(good, row.double(), 0.0)
        in_row, most, total = self._bad.unbind()
        in_row = torch.where(good, 0, in_row + 1)
        self._bad = torch.stack([in_row, torch.maximum(most, in_row), total + ~good])

    def most_bad_in_a_row(self) -> int:
        """The longest row of skipped updates; waits for the device."""
        return int(self._bad[1].item())

    def read(self) -> TrainingMetrics:
        """Return the means since the last call, and reset them; waits for the device."""
        likelihood, objective, tokens, norm, updates = self._sums.tolist()
        self._sums.zero_()
        return TrainingMetrics(
            loss=_mean(likelihood, tokens),
            objective=_mean(objective, tokens),
            gradient_norm=_mean(norm, updates),
            num_skipped=int(self._bad[2].item()),
        )

    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"sums": self._sums, "bad": self._bad}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        self._sums.copy_(tensors["sums"])
        self._bad.copy_(tensors["bad"])


def _mean(total: float, count: float) -> float:
    return total / count if count else float("nan")
