"""Set up the process that trains: its memory, compiled kernels, threads and random numbers.

All random numbers of an update follow from the seed and the update. So a run that is resumed draws
what the unbroken run would have drawn, with nothing to carry over, and each of several processes
draws numbers of its own. The order of the data follows from the seed and the epoch in the same way
(see `nmt.data.batching`).
"""

import random

import numpy as np
import torch

from nmt.system.process import FOR_TRAINING, keep_freed_memory, limit_kernel_caches


def set_up_process(num_threads: int | None) -> None:
    """Set up memory, compiled kernels and threads; before the first product that training makes.

    Args:
        num_threads: of the computation on a CPU; None: as many as torch takes by itself.
    """
    keep_freed_memory()
    limit_kernel_caches(FOR_TRAINING)
    if num_threads is not None:
        torch.set_num_threads(num_threads)


def seed_everything(seed: int) -> None:
    """Start all generators (python, numpy, torch on every device) from one number."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def seed_update(seed: int, update: int, rank: int = 0) -> None:
    """Start all generators for one update.

    Args:
        seed: of the run.
        update: counted from 1.
        rank: of this process among those that share the update.
    """
    words = np.random.SeedSequence([seed, update, rank]).generate_state(1, np.uint64)
    seed_everything(int(words[0]))
