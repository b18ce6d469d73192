"""Exercise: the softmax with a mask (docs/tour.md, From scores to weights)."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def masked_softmax(scores: Array, mask: NDArray[np.bool_]) -> Array:
    """Return weights: a softmax of each row over the real tokens, and 0 for padding.

    Scores may be large (1,000) or very different, and a row may have no real token: then all its
    weights are 0. No weight is ever NaN.

    Args:
        scores: `[T S]`.
        mask: `[S]`, True for a real token, False for padding.

    Returns:
        `[T S]`.
    """
    raise NotImplementedError("write this function")
