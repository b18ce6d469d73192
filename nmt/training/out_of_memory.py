"""What to do where the memory is not enough for a batch."""

from typing import Final

import torch

from nmt.batch import Batch
from nmt.errors import UserError

# What torch says on a CPU, where there is no exception of its own for it; what cuBLAS and cuDNN say
# where the allocator has left them nothing; and what another process has said.
_SAID: Final = (
    "can't allocate memory",
    "not enough memory",
    "_STATUS_ALLOC_FAILED",
    "CUDA error: out of memory",
    "CUDA out of memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory left, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


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
