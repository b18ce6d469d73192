"""Whether an error says that there was no memory left."""

from typing import Final

import torch

# What torch says on a CPU, where there is no exception of its own for it; what cuBLAS and cuDNN say
# where the allocator has left them nothing, and NCCL; and what another process has said.
_SAID: Final = (
    "can't allocate memory",
    "not enough memory",
    "_STATUS_ALLOC_FAILED",
    "CUDA error: out of memory",
    "CUDA out of memory",
    "Cuda failure 2 'out of memory'",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no memory left, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)
