"""What training asks of the process that it is done in."""

import torch

from nmt.system.allocator import FOR_TRAINING, keep_freed_memory, limit_kernel_caches


def set_up_process(num_threads: int | None) -> None:
    """Set up memory, compiled kernels and threads; before the first product that training makes.

    Args:
        num_threads: of the computation on a CPU; None: as many as torch takes by itself.
    """
    keep_freed_memory()
    limit_kernel_caches(FOR_TRAINING)
    if num_threads is not None:
        torch.set_num_threads(num_threads)
