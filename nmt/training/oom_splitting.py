"""The gradient of an update's batches, of which those that run out of memory are split."""

import logging

import torch
from torch import Tensor

from nmt.core.batch import Batch
from nmt.core.tensor_tree import to
from nmt.system.memory import is_out_of_memory
from nmt.training.oom_advice import describe, num_cells, split
from nmt.training.randomness import seed_update
from nmt.training.state import TrainingState

logger = logging.getLogger(__name__)


class GradientAccumulator:
    """Computes what one process has to of the gradient of an update.

    Args:
        state: its model, optimizer and objective are used, and its counters told of what is split.
    """

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self._counters = state.counters
        self._num_split = 0  # by this process, not yet counted for all

    def make(self, batches: list[Batch], num_tokens: int) -> Tensor:
        """Give the weights the gradient of some batches, divided by so many tokens.

        Returns:
            `[2]`: objective and negative log-likelihood, summed over the tokens.

        Raises:
            UserError: there is no memory for a single pair.
        """
        state, parts = self._state, batches
        while True:
            seed_update(state.seed, self._counters.update, state.group.rank)
            sums = torch.zeros(2, device=state.device)
            too_large = self._first_too_large(parts, num_tokens, sums)
            if too_large is None:
                break
            # Of it some weights may have a gradient, and some not: all is done again.
            state.optimizer.zero_grad(set_to_none=True)
            parts = self._split(parts, too_large)
        if len(parts) > len(batches):
            logger.warning("batches of up to %s tokens fit", f"{max(map(num_cells, parts)):,}")
        return sums

    def count_split(self) -> None:
        """Count those split since the last call, by all processes, each of which calls this."""
        counters, mine = self._counters, self._num_split
        num_split = torch.tensor(mine)
        self._state.group.all_reduce(num_split)
        counters.num_split += int(num_split)
        if (num_elsewhere := int(num_split) - mine) > 0:
            numbers = (counters.update, num_elsewhere, counters.num_split)
            logger.warning(
                "by update %s: out of memory in other processes, at batches that were split and "
                "done again: %s (batches split so far: %s): lower training.batch_tokens, or set "
                "it to auto",
                *(f"{number:,}" for number in numbers),
            )
        self._num_split = 0

    def _first_too_large(self, batches: list[Batch], num_tokens: int, sums: Tensor) -> int | None:
        """Make the gradients, up to a batch that runs out of memory, if any does; which."""
        for index, batch in enumerate(batches):
            try:
                sums += self._of(batch, num_tokens)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                return index
        return None

    def _of(self, batch: Batch, num_tokens: int) -> Tensor:
        state = self._state
        losses = state.objective(state.model, to(batch, state.device), state.sampling_probability())
        (losses.objective / num_tokens).backward()  # type: ignore[no-untyped-call]
        return torch.stack((losses.objective.detach(), losses.negative_log_likelihood))

    def _split(self, batches: list[Batch], index: int) -> list[Batch]:
        """The batches with one in two."""
        batch = batches[index]
        parts = split(batch)
        if self._state.device.type == "cuda":
            torch.cuda.empty_cache()
        self._num_split += 1
        logger.warning(
            "update %s: out of memory at %s; it is split and done again (batches split so far: "
            "%s): lower training.batch_tokens, or set it to auto",
            f"{self._counters.update:,}",
            describe(batch),
            f"{self._counters.num_split + self._num_split:,}",
        )
        return [*batches[:index], *parts, *batches[index + 1 :]]
