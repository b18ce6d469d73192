"""Metric tracking for early stopping: the best value so far and the validations since."""

import math
from dataclasses import dataclass, field
from typing import Any, Final

_SAME: Final = 1e-9  # relative difference up to which two values of a metric are equal
_STATE: Final = ("best", "best_loss", "best_update", "without_best")


@dataclass(eq=False)
class MetricTracker:
    """The best value of one metric and the validations since; the loss decides between ties.

    Args:
        metric: name of the metric.
        higher_is_better: whether a larger value is better.
        perfect: the best possible value; None: there is none.
    """

    metric: str
    higher_is_better: bool = field(kw_only=True)
    perfect: float | None = field(default=None, kw_only=True)
    best: float | None = field(default=None, init=False)
    best_loss: float | None = field(default=None, init=False)
    best_update: int = field(default=0, init=False)
    without_best: int = field(default=0, init=False)

    @property
    def is_perfect(self) -> bool:
        """Return whether the best value so far is the best possible one."""
        return self.best is not None and self.perfect is not None and self._is_best(self.perfect)

    def is_better(self, value: float, loss: float | None = None) -> bool:
        """Return whether a value beats the best so far; NaN never does.

        Args:
            value: value of the metric.
            loss: loss of the same validation, which decides between equal values; None: the earlier
                one stays the best.
        """
        if math.isnan(value):
            return False
        if self.best is None:
            return True
        if self._is_best(value):
            return loss is not None and self.best_loss is not None and loss < self.best_loss
        return value > self.best if self.higher_is_better else value < self.best

    def observe(self, value: float, update: int, loss: float | None = None) -> bool:
        """Record a validation; return whether it is the new best."""
        improved = self.is_better(value, loss)
        if improved:
            self.best, self.best_update, self.without_best = value, update, 0
            # Any loss beats NaN.
            self.best_loss = math.inf if loss is not None and math.isnan(loss) else loss
        else:
            self.without_best += 1
        return improved

    def __str__(self) -> str:
        if self.best is None:
            return f"no {self.metric} yet"
        precision = 4 if self.metric == "loss" else 2  # the same as in all other output
        return f"{self.metric} {self.best:.{precision}f} at update {self.best_update:,}"

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs to continue from here."""
        return {key: getattr(self, key) for key in _STATE}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the result of `state`."""
        for key in _STATE:
            setattr(self, key, state.get(key))  # earlier versions did not save `best_loss`

    def _is_best(self, value: float) -> bool:
        """Return whether a value equals the best so far, up to rounding."""
        return self.best is not None and math.isclose(
            value, self.best, rel_tol=_SAME, abs_tol=_SAME
        )
