"""Exercise: the dot score (docs/tour.md, Scores)."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def dot_scores(queries: Array, keys: Array) -> Array:
    """Return how well each key fits each query: ``q_t . k_s`` (Luong 2015, eq. 8).

    Args:
        queries: `[T Q]`, one for each target token.
        keys: `[S Q]`, one for each source token.

    Returns:
        `[T S]`.
    """
    raise NotImplementedError("write this function")
