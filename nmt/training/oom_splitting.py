"""Out of memory: split a batch that has no room, and say what to do where that does not help."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor

from nmt.core.batch import Batch
from nmt.core.errors import UserError
from nmt.core.tensor_tree import to
from nmt.system.memory import is_out_of_memory
from nmt.training.process_setup import seed_update
from nmt.training.state import TrainingState

logger = logging.getLogger(__name__)

AT_A_STEP: Final = (
    "out of memory in an update, after its batches, where gradients are added up and the optimizer "
    "steps: start another run with lower training.batch_tokens or a smaller model"
)
IN_A_VALIDATION: Final = (
    "out of memory, and not in an update: lower decoding.batch_tokens, which is how much is "
    "translated at once in a validation, or make the model smaller; --resume goes on from the last "
    "checkpoint"
)


@contextmanager
def explain_out_of_memory(message: str) -> Iterator[None]:
    """Turn a lack of memory inside the `with` into a user error with this message."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise UserError(message) from error
        raise


class GradientAccumulator:
    """Computes what one process has to of the gradient of an update.

    Args:
        state: its model, optimizer and objective are used, and its counters count what is split.
    """

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self._counters = state.counters
        self._num_split = 0  # by this process, not yet counted for all

    def accumulate(self, batches: list[Batch], num_tokens: int) -> Tensor:
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
            logger.warning("batches of up to %s tokens fit", f"{max(map(_num_cells, parts)):,}")
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
        parts = _halve(batch)
        if self._state.device.type == "cuda":
            torch.cuda.empty_cache()
        self._num_split += 1
        logger.warning(
            "update %s: out of memory at %s; it is split and done again (batches split so far: "
            "%s): lower training.batch_tokens, or set it to auto",
            f"{self._counters.update:,}",
            _describe(batch),
            f"{self._counters.num_split + self._num_split:,}",
        )
        return [*batches[:index], *parts, *batches[index + 1 :]]


def _halve(batch: Batch) -> tuple[Batch, Batch]:
    """A batch that was too large, in two.

    Raises:
        UserError: it is one sentence.
    """
    if batch.num_sentences == 1:
        raise UserError(
            f"out of memory at one pair of {batch.source.shape[1]} and {batch.labels.shape[1]} "
            "tokens: leave out pairs as long (data.filters.max_length), or make the model smaller"
        )
    return batch.halves()


def _num_cells(batch: Batch) -> int:
    """What `training.batch_tokens` is a limit of: of the larger side, padding counted."""
    return batch.num_sentences * max(batch.source.shape[1], batch.labels.shape[1])


def _describe(batch: Batch) -> str:
    """How large a batch is, for a message."""
    return (
        f"{batch.num_sentences:,} pairs of up to {batch.source.shape[1]} and "
        f"{batch.labels.shape[1]} tokens"
    )
