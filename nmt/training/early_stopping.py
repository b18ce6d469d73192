"""Whether training still gets better: the best value so far and how long ago it was."""

import math
from typing import Any


class Progress:
    """The best value of one metric and the validations since.

    Args:
        metric: what is watched.
        higher_is_better: whether a larger value is better.
    """

    def __init__(self, metric: str, *, higher_is_better: bool) -> None:
        self.metric = metric
        self.higher_is_better = higher_is_better
        self.best: float | None = None
        self.best_update = 0
        self.without_best = 0

    def is_better(self, value: float) -> bool:
        """Whether this beats the best so far; a value that is not a number never does."""
        if math.isnan(value):
            return False
        if self.best is None:
            return True
        return value > self.best if self.higher_is_better else value < self.best

    def observe(self, value: float, update: int) -> bool:
        """Take a validation into account; whether it is the new best."""
        improved = self.is_better(value)
        if improved:
            self.best, self.best_update, self.without_best = value, update, 0
        else:
            self.without_best += 1
        return improved

    def __str__(self) -> str:
        if self.best is None:
            return f"no {self.metric} yet"
        precision = 4 if self.metric == "loss" else 2  # as they are shown everywhere
        return f"{self.metric} {self.best:.{precision}f} at update {self.best_update:,}"

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on from here."""
        return {
            "best": self.best,
            "best_update": self.best_update,
            "without_best": self.without_best,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.best = state["best"]
        self.best_update = state["best_update"]
        self.without_best = state["without_best"]
