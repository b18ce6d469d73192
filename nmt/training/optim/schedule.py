"""What changes from update to update: a factor on the learning rate, and scheduled sampling."""

import math
from abc import ABC, abstractmethod
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

from nmt.core.errors import ConfigError


class Schedule(ABC):
    """A factor for each update, counted from 1.

    Args:
        total_updates: how many updates training can have; None where there is no limit.
        warmup: updates over which the factor rises linearly from 0; 0 for none.
    """

    def __init__(self, total_updates: int | None, *, warmup: Annotated[int, Ge(0)] = 0) -> None:
        self.total_updates = total_updates
        self.warmup = warmup

    def factor(self, update: int) -> float:
        """What the learning rate is multiplied with at this update."""
        if update < self.warmup:
            return self.after_warmup(self.warmup) * update / self.warmup
        return self.after_warmup(update)

    @abstractmethod
    def after_warmup(self, update: int) -> float:
        """The factor at an update that is not in the warm-up any more."""

    def observe(self, improved: bool) -> None:  # noqa: B027 - most schedules look at no validation
        """A validation was made, and was the best so far or not."""

    def state(self) -> dict[str, float]:
        """Return what `restore` needs to continue from here."""
        return {}

    def restore(self, state: dict[str, float], update: int) -> None:
        """Continue after an update from what `state` gave.

        Raises:
            ConfigError: the rate of the updates before would have been another.
        """
        assert not state


class Constant(Schedule):
    """The same rate all the time, or until a cool-down at the end (Hägele 2024, section 3).

    The longer training lasts at a high rate, the better it ends: unlike a curve over the whole
    training, a constant rate may end, or continue, anywhere.

    Args:
        total_updates: where the cool-down ends.
        warmup: updates over which the factor rises linearly from 0; 0 for none.
        cooldown: updates at the end of training over which it falls linearly to 0; 0 for none.

    Raises:
        ConfigError: there is a cool-down and no end, or too few updates for it.
    """

    def __init__(
        self,
        total_updates: int | None,
        *,
        warmup: Annotated[int, Ge(0)] = 0,
        cooldown: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(total_updates, warmup=warmup)
        self.cooldown = cooldown
        self.end = total_updates if cooldown else None
        if not cooldown:
            return
        if total_updates is None:
            raise ConfigError(
                "training.schedule.cooldown: needs to know where training ends; give "
                "training.max_updates or training.max_epochs, or leave it out"
            )
        if cooldown + warmup > total_updates:
            raise ConfigError(
                f"training.schedule.cooldown: {cooldown} and a warm-up of {warmup} are more than "
                f"the {total_updates} updates of training"
            )

    def state(self) -> dict[str, float]:
        """Where the cool-down ends."""
        return {} if self.end is None else {"end": self.end}

    def restore(self, state: dict[str, float], update: int) -> None:
        """Continue to any end, unless a cool-down has begun."""
        if self.end is not None and update > min(self.end, state["end"]) - self.cooldown:
            _check_end("cool-down", self.end, state)

    def after_warmup(self, update: int) -> float:
        """1, and then down to 0."""
        if self.end is None:
            return 1.0
        return min(1.0, max(0.0, (self.end - update) / self.cooldown))


class Plateau(Schedule):
    """Lower the rate where the validation metric (`training.validation.best`) stops improving.

    Args:
        total_updates: not used.
        warmup: updates over which the factor rises linearly from 0; 0 for none.
        patience: validations in a row without a new best before the rate is lowered.
        decay: what the rate is multiplied with then.
        minimum: smallest factor.
    """

    def __init__(
        self,
        total_updates: int | None,
        *,
        warmup: Annotated[int, Ge(0)] = 0,
        patience: Annotated[int, Ge(1)] = 2,
        decay: Annotated[float, Gt(0.0), Lt(1.0)] = 0.5,
        minimum: Annotated[float, Ge(0.0), Le(1.0)] = 0.01,
    ) -> None:
        super().__init__(total_updates, warmup=warmup)
        self.patience = patience
        self.decay = decay
        self.minimum = minimum
        self._factor = 1.0
        self._without_best = 0

    def after_warmup(self, update: int) -> float:
        """What the validations so far have left."""
        return self._factor

    def observe(self, improved: bool) -> None:
        """Count validations without a new best."""
        self._without_best = 0 if improved else self._without_best + 1
        if self._without_best >= self.patience:
            self._factor = max(self.minimum, self._factor * self.decay)
            self._without_best = 0

    def state(self) -> dict[str, float]:
        """The factor and the count."""
        return {"factor": self._factor, "without_best": self._without_best}

    def restore(self, state: dict[str, float], update: int) -> None:
        """Continue from what `state` gave."""
        self._factor = state["factor"]
        self._without_best = int(state["without_best"])


class InverseSquareRoot(Schedule):
    """``sqrt(warmup / update)`` after the warm-up (Vaswani 2017, section 5.3, scaled to peak at 1).

    Args:
        total_updates: not used.
        warmup: updates over which the factor rises linearly to 1; at least 1.
    """

    def __init__(self, total_updates: int | None, *, warmup: Annotated[int, Ge(1)] = 1000) -> None:
        super().__init__(total_updates, warmup=warmup)

    def after_warmup(self, update: int) -> float:
        """Falls with the square root of the updates."""
        return math.sqrt(self.warmup / update)


class Cosine(Schedule):
    """Half a cosine from 1 down to `final` (Loshchilov & Hutter 2017, eq. 5, without restarts).

    Args:
        total_updates: where the curve ends, unless `num_updates` says so.
        warmup: updates over which the factor rises linearly from 0; 0 for none.
        num_updates: update at which `final` is reached; null: the end of training, as
            `max_updates` and `max_epochs` put it.
        final: the factor in the end.
    """

    def __init__(
        self,
        total_updates: int | None,
        *,
        warmup: Annotated[int, Ge(0)] = 0,
        num_updates: Annotated[int, Ge(1)] | None = None,
        final: Annotated[float, Ge(0.0), Le(1.0)] = 0.0,
    ) -> None:
        super().__init__(total_updates, warmup=warmup)
        end = num_updates if num_updates is not None else total_updates
        if end is None:
            raise ConfigError(
                "training.schedule.num_updates: cosine needs to know where training ends; give "
                "it, or training.max_updates, or training.max_epochs"
            )
        if end <= warmup:
            raise ConfigError(
                f"training.schedule.warmup: {warmup} is not less than the {end} updates of the "
                f"whole schedule; set it to {end // 10}, a tenth of them"
            )
        self.end = end
        self.final = final

    def state(self) -> dict[str, float]:
        """Where the curve ends."""
        return {"end": self.end}

    def restore(self, state: dict[str, float], update: int) -> None:
        """Continue on the same curve; another one is refused."""
        _check_end("cosine", self.end, state)

    def after_warmup(self, update: int) -> float:
        """Falls slowly, then fast, then slowly; stays at `final`."""
        share = min(1.0, (update - self.warmup) / (self.end - self.warmup))
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * share))


def _check_end(what: str, end: int | None, state: dict[str, float]) -> None:
    if end is not None and state.get("end", end) != end:  # the first checkpoints do not say it
        raise ConfigError(
            f"--resume: training.schedule: the {what} of this run ends at update "
            f"{state['end']:,.0f}, and with these options it would at {end:,}: put "
            "training.max_updates and training.max_epochs back, or start another run with "
            "run=PATH"
        )


def scheduled_sampling_probability(update: int, start: int, end: int, probability: float) -> float:
    """Return 0 until `start`, then a value that rises linearly to `probability` at `end`.

    The linear schedule of Bengio 2015, section 2.4, with the probability of feeding the model's own
    word (one minus their epsilon).
    """
    if update <= start:
        return 0.0
    if update >= end:
        return probability
    return probability * (update - start) / (end - start)
