"""What to do where the memory is not enough for a batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from nmt.core.batch import Batch
from nmt.core.errors import UserError
from nmt.system.memory import is_out_of_memory

AT_A_STEP: Final = (
    "out of memory in an update, after its batches, where gradients are added up and the optimizer "
    "steps: start another run with lower training.batch_tokens or a smaller model; where several "
    "processes train, --resume training.ranks.shard_optimizer=true goes on with less memory in each"
)
IN_A_VALIDATION: Final = (
    "out of memory, and not in an update: lower decoding.batch_tokens, which is how much is "
    "translated at once in a validation, or make the model smaller; --resume goes on from the last "
    "checkpoint"
)


def split(batch: Batch) -> tuple[Batch, Batch]:
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


def num_cells(batch: Batch) -> int:
    """What `training.batch_tokens` is a limit of: of the larger side, padding counted."""
    return batch.num_sentences * max(batch.source.shape[1], batch.labels.shape[1])


def describe(batch: Batch) -> str:
    """How large a batch is, for a message."""
    return (
        f"{batch.num_sentences:,} pairs of up to {batch.source.shape[1]} and "
        f"{batch.labels.shape[1]} tokens"
    )


@contextmanager
def explain_out_of_memory(message: str) -> Iterator[None]:
    """Inside, a lack of memory is something that a person can mend, as the message says."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise UserError(message) from error
        raise
