"""What to do where the memory is not enough for a batch."""

from nmt.batch import Batch
from nmt.errors import UserError


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


def not_at_a_batch() -> UserError:
    """The error where it is no batch of training that could be split."""
    return UserError(
        "out of memory, and not at a batch of training: lower decoding.batch_tokens, which is how "
        "much is translated at once in a validation, or make the model smaller; --resume goes on "
        "from the last checkpoint"
    )
