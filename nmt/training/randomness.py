"""The one place for random numbers: seeding, and carrying the states over a resume.

The order of the data does not depend on these states: it follows from the seed and the epoch.
"""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int) -> None:
    """Start all generators (python, numpy, torch on every device) from one number."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_tensors(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators, for a checkpoint."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def random_metadata() -> dict[str, Any]:
    """The states of python's and numpy's generators, as JSON can hold them."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(words), gauss],
        "numpy": [name, np.asarray(keys).tolist(), position, has_gauss, cached],
    }


def restore_random(
    tensors: dict[str, Tensor], metadata: dict[str, Any], device: torch.device
) -> None:
    """Put all generators back to the states that were saved."""
    version, words, gauss = metadata["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = metadata["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(tensors["cpu"])
    if device.type == "cuda" and "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"], device)
