"""A schedule: the rate is halved again and again."""

from typing import Annotated

from annotated_types import Ge

from nmt.training.optim.schedule import Schedule


class Halving(Schedule):
    """Factor ``0.5 ** (update // every)``.

    Args:
        total_updates: not used.
        warmup: updates over which the factor rises linearly from 0; 0 for none.
        every: updates between two halvings.
    """

    def __init__(
        self,
        total_updates: int | None,
        *,
        warmup: Annotated[int, Ge(0)] = 0,
        every: Annotated[int, Ge(1)] = 100,
    ) -> None:
        super().__init__(total_updates, warmup=warmup)
        self.every = every

    def after_warmup(self, update: int) -> float:
        """Return the factor."""
        return float(0.5 ** (update // self.every))
