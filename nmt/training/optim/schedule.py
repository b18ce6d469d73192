"""Schedules over updates: learning rate schedules and scheduled sampling."""

import math
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from nmt.core.errors import ConfigError


@dataclass(eq=False)
class Schedule(ABC):
    """Learning rate schedule: a factor for each update, counted from 1.

    Args:
        total_updates: maximum number of updates; None: no limit.
        warmup: updates over which the factor rises linearly from 0; 0 for none.
    """

    total_updates: int | None
    _: KW_ONLY
    warmup: Annotated[int, Ge(0)] = 0

    def factor(self, update: int) -> float:
        """Return the factor on the learning rate at this update."""
        if update < self.warmup:
            return self.after_warmup(self.warmup) * update / self.warmup
        return self.after_warmup(update)

    @abstractmethod
    def after_warmup(self, update: int) -> float:
        """Return the factor at an update after the warm-up."""

    def observe(self, improved: bool) -> None:  # noqa: B027 - most schedules ignore validations
        """Record a validation, and whether it was the best so far."""

    def state(self) -> dict[str, float]:
        """Return what `restore` needs to continue from here."""
        return {}

    def restore(self, state: dict[str, float], update: int) -> None:
        """Restore the result of `state`, and continue after an update.

        Raises:
            ConfigError: with these options, earlier updates would have had other learning rates.
        """
        assert not state


@dataclass(eq=False, kw_only=True)
class Constant(Schedule):
    """Constant rate, with an optional cool-down at the end (Hägele 2024, section 3).

    Unlike a curve over the whole training, a constant rate lets training end or continue at any
    update.

    Args:
        total_updates: update at which the cool-down ends.
        warmup: updates over which the factor rises linearly from 0; 0 for none.
        cooldown: updates at the end of training over which it falls linearly to 0; 0 for none.

    Raises:
        ConfigError: there is a cool-down, but the number of updates is unlimited or too small.
    """

    cooldown: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        total_updates, warmup, cooldown = self.total_updates, self.warmup, self.cooldown
        self.end = total_updates if cooldown else None
        if not cooldown:
            return
        if total_updates is None:
            raise ConfigError(
                "training.schedule.cooldown: needs the end of training; set training.max_updates "
                "or training.max_epochs, or leave it out"
            )
        if cooldown + warmup > total_updates:
            raise ConfigError(
                f"training.schedule.cooldown: {cooldown} and warmup {warmup} exceed the "
                f"{total_updates} updates of training; lower one of them"
            )

    def state(self) -> dict[str, float]:
        """Return the update at which the cool-down ends."""
        return {} if self.end is None else {"end": self.end}

    def restore(self, state: dict[str, float], update: int) -> None:
        """Accept any new end, unless the cool-down has begun."""
        if self.end is not None and update > min(self.end, state["end"]) - self.cooldown:
            _check_end("cool-down", self.end, state)

    def after_warmup(self, update: int) -> float:
        """Return 1, or less in the cool-down."""
        if self.end is None:
            return 1.0
        return min(1.0, max(0.0, (self.end - update) / self.cooldown))


@dataclass(eq=False, kw_only=True)
class Plateau(Schedule):
    """Lower the rate when the validation metric (`training.validation.best`) stops improving.

    Args:
        total_updates: not used.
        warmup: updates over which the factor rises linearly from 0; 0 for none.
        patience: consecutive validations without a new best before the rate is lowered.
        decay: factor by which the rate is lowered.
        minimum: smallest factor.
    """

    patience: Annotated[int, Ge(1)] = 2
    decay: Annotated[float, Gt(0.0), Lt(1.0)] = 0.5
    minimum: Annotated[float, Ge(0.0), Le(1.0)] = 0.01

    def __post_init__(self) -> None:
        self._factor = 1.0
        self._without_best = 0

    def after_warmup(self, update: int) -> float:
        """Return the factor after the validations so far."""
        return self._factor

    def observe(self, improved: bool) -> None:
        """Count validations without a new best, and lower the factor if there are too many."""
        self._without_best = 0 if improved else self._without_best + 1
        if self._without_best >= self.patience:
            self._factor = max(self.minimum, self._factor * self.decay)
            self._without_best = 0

    def state(self) -> dict[str, float]:
        """Return the factor and the number of validations without a new best."""
        return {"factor": self._factor, "without_best": self._without_best}

    def restore(self, state: dict[str, float], update: int) -> None:
        """Restore the result of `state`."""
        self._factor = state["factor"]
        self._without_best = int(state["without_best"])


@dataclass(eq=False, kw_only=True)
class InverseSquareRoot(Schedule):
    """Factor ``sqrt(warmup / update)`` after the warm-up (Vaswani 2017, 5.3, scaled to peak at 1).

    Args:
        total_updates: not used.
        warmup: updates over which the factor rises linearly to 1; at least 1.
    """

    warmup: Annotated[int, Ge(1)] = 1000

    def after_warmup(self, update: int) -> float:
        """Return the factor, which falls with the square root of the updates."""
        return math.sqrt(self.warmup / update)


@dataclass(eq=False, kw_only=True)
class Cosine(Schedule):
    """Half a cosine from 1 down to `final` (Loshchilov & Hutter 2017, eq. 5, without restarts).

    Args:
        total_updates: update at which the curve ends, unless `num_updates` is set.
        warmup: updates over which the factor rises linearly from 0; 0 for none.
        num_updates: update at which `final` is reached; null: the end of training, from
            `max_updates` and `max_epochs`.
        final: the final factor.
    """

    num_updates: Annotated[int, Ge(1)] | None = None
    final: Annotated[float, Ge(0.0), Le(1.0)] = 0.0

    def __post_init__(self) -> None:
        warmup, end = self.warmup, self.num_updates or self.total_updates
        if end is None:
            raise ConfigError(
                "training.schedule.num_updates: missing, and training has no limit; set it, "
                "training.max_updates or training.max_epochs"
            )
        if end <= warmup:
            raise ConfigError(
                f"training.schedule.warmup: must be less than the {end} updates of the schedule, "
                f"not {warmup}; set it to {end // 10}, a tenth of them"
            )
        self.end = end

    def state(self) -> dict[str, float]:
        """Return the update at which the curve ends."""
        return {"end": self.end}

    def restore(self, state: dict[str, float], update: int) -> None:
        """Check that the curve is unchanged."""
        _check_end("cosine", self.end, state)

    def after_warmup(self, update: int) -> float:
        """Return the factor, which stays at `final` after the end of the curve."""
        share = min(1.0, (update - self.warmup) / (self.end - self.warmup))
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * share))


def _check_end(what: str, end: int | None, state: dict[str, float]) -> None:
    if end is not None and state.get("end", end) != end:  # missing in the earliest checkpoints
        raise ConfigError(
            f"--resume: training.schedule: the {what} of this run ends at update "
            f"{state['end']:,.0f}, but at {end:,} with these options; restore training.max_updates "
            "and training.max_epochs, or start another run with run=PATH"
        )


def scheduled_sampling_probability(update: int, start: int, end: int, probability: float) -> float:
    """Return 0 until `start`, then a value that rises linearly to `probability` at `end`.

    This is the linear schedule of Bengio 2015, section 2.4. The result is the probability of
    feeding the model's own prediction, which is one minus their epsilon.
    """
    if update <= start:
        return 0.0
    if update >= end:
        return probability
    return probability * (update - start) / (end - start)
