"""What updates report, summed on the device, and the time that they take there."""

import time
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

_SUMS: Final = 5  # likelihood, objective, tokens, gradient norm, updates
_LARGEST: Final = 1e300  # in place of a loss that no number can be, as a saved state has numbers


class RunningMetrics:
    """Sums over the updates since they were last read, and how many in a row were bad.

    An update whose gradient norm is not finite was skipped, and adds to no sum.

    Args:
        device: where the losses are.
    """

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(_SUMS, dtype=torch.float64, device=device)
        self._window = torch.zeros(2, dtype=torch.float64, device=device)  # likelihood, tokens
        # In a row now, most in a row ever, all of training.
        self._bad = torch.zeros(3, dtype=torch.int64, device=device)

    def add(self, objective: Tensor, likelihood: Tensor, num_tokens: int, norm: Tensor) -> None:
        """Count an update.

        Args:
            objective: scalar, sum of the smoothed loss over tokens.
            likelihood: scalar, sum of the negative log-likelihood over tokens.
            num_tokens: how many.
            norm: scalar, of the gradient.
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
        """Return the longest row of skipped updates; waits for the device."""
        return int(self._bad[1].item())

    def read(self) -> dict[str, float]:
        """Return the means since the last call, and reset them; waits for the device.

        Returns:
            The negative log-likelihood of a token in nats, the smoothed loss of a token, the norm
            of the gradient before clipping (nan where every update was skipped), and the number of
            updates skipped so far, in all of training.
        """
        likelihood, objective, tokens, norm, updates = self._sums.tolist()
        self._sums.zero_()
        return {
            "loss": _mean(likelihood, tokens),
            "objective": _mean(objective, tokens),
            "gradient_norm": _mean(norm, updates),
            "num_skipped": int(self._bad[2].item()),
        }

    def window(self) -> list[float]:
        """Return negative log-likelihood and tokens since `start_window`; waits for the device."""
        return self._window.tolist()

    def start_window(self, sums: Sequence[float] = (0.0, 0.0)) -> None:
        """Start new sums for `window`, or continue saved ones."""
        self._window.copy_(torch.tensor(sums, dtype=torch.float64))

    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"sums": self._sums, "bad": self._bad}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        self._sums.copy_(tensors["sums"])
        self._bad.copy_(tensors["bad"])


def _mean(total: float, count: float) -> float:
    return total / count if count else float("nan")


class Timer:
    """Measures the work of a device, which may lag behind the program.

    Args:
        device: is waited for, so that its work counts where it was asked for.
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
