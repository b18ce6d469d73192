"""Time that a device takes."""

import time

import torch


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
