"""Running metrics of updates, summed on the device, and a timer of the device."""

import time
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from nmt.system.device import to_host

_SUMS: Final = 5  # likelihood, objective, tokens, gradient norm, updates
_LARGEST: Final = 1e300  # replaces non-finite losses, because a saved state must be finite


class RunningMetrics:
    """Sums over the updates since the last read, and counts of skipped updates.

    Updates with a non-finite gradient norm were skipped, and are not added to the sums.

    Args:
        device: the device of the losses.
    """

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(_SUMS, dtype=torch.float64, device=device)
        self._window = torch.zeros(2, dtype=torch.float64, device=device)  # likelihood, tokens
        # Skipped updates: present run of consecutive ones, longest run, total.
        self._bad = torch.zeros(3, dtype=torch.int64, device=device)

    def add(self, objective: Tensor, likelihood: Tensor, num_tokens: int, norm: Tensor) -> None:
        """Add an update.

        Args:
            objective: scalar, sum of the smoothed loss over tokens.
            likelihood: scalar, sum of the negative log-likelihood over tokens.
            num_tokens: number of tokens.
            norm: scalar, norm of the gradient.
        """
        good = torch.isfinite(norm)
        tokens = torch.full_like(norm, num_tokens)
        row = torch.stack([likelihood, objective, tokens, norm, torch.ones_like(norm)])
        counted = torch.where(good, row.double(), 0.0)
        self._sums += counted
        self._window += torch.nan_to_num(counted[:3:2], nan=_LARGEST, posinf=_LARGEST)
        in_row, most, total = self._bad.unbind()
        in_row = torch.where(good, 0, in_row + 1)
        self._bad = torch.stack([in_row, torch.maximum(most, in_row), total + ~good])

    def most_bad_in_a_row(self) -> int:
        """Return the largest number of consecutive skipped updates; waits for the device."""
        return int(to_host(self._bad[1]))

    def read(self) -> dict[str, float]:
        """Return the means since the last call, and reset them; waits for the device.

        Returns:
            The means of the negative log-likelihood per token (in nats), the smoothed loss per
            token, and the gradient norm before clipping; NaN if every update was skipped. Also the
            total number of skipped updates in the training.
        """
        likelihood, objective, tokens, norm, updates = to_host(self._sums)
        self._sums.zero_()
        return {
            "loss": _mean(likelihood, tokens),
            "objective": _mean(objective, tokens),
            "gradient_norm": _mean(norm, updates),
            "num_skipped": int(to_host(self._bad[2])),
        }

    def window(self) -> list[float]:
        """Return negative log-likelihood and tokens since `start_window`; waits for the device."""
        sums: list[float] = to_host(self._window)
        return sums

    def start_window(self, sums: Sequence[float] = (0.0, 0.0)) -> None:
        """Start new sums for `window`, or continue saved ones."""
        self._window.copy_(torch.tensor(sums, dtype=torch.float64))

    def tensors(self) -> dict[str, Tensor]:
        """Return the state as named tensors, for a checkpoint."""
        return {"sums": self._sums, "bad": self._bad}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore the result of `tensors`."""
        self._sums.copy_(tensors["sums"])
        self._bad.copy_(tensors["bad"])


def _mean(total: float, count: float) -> float:
    return total / count if count else float("nan")


class Timer:
    """Timer of the work of a device, which may run asynchronously.

    Args:
        device: the device, which is synchronised before each measurement.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._started = time.perf_counter()

    def restart(self) -> float:
        """Return the seconds since the last call."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        seconds, self._started = now - self._started, now
        return seconds
