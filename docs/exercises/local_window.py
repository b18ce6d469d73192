"""Exercise: the local window (docs/tour.md, Soft and hard)."""

import numpy as np
from numpy.typing import NDArray


def local_window(num_steps: int, num_tokens: int, window: int) -> NDArray[np.bool_]:
    """Return where each step may look: within `window` positions of ``p_t = t`` (Luong 2015, 3.2).

    If the target is longer than the source, p stays at the last token.

    Args:
        num_steps: T, steps of the decoder, counted from 0.
        num_tokens: S, tokens of the source, counted from 0; at least one.
        window: D, at least 0.

    Returns:
        `[T S]`, True where the step may look.
    """
    raise NotImplementedError("write this function")
