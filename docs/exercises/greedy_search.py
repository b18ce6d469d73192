"""Exercise: greedy search (docs/tour.md, From scores to weights)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# A step of a model: takes the token before and the state; returns the log-probability of each next
# token, and the next state. The state may be anything.
Step = Callable[[int, object], tuple[NDArray[np.float64], object]]


def greedy_search(step: Step, state: object, *, bos: int, eos: int, max_length: int) -> list[int]:
    """Return the tokens of a translation: at each step the likeliest one, until the end.

    Args:
        step: the model.
        state: before the first step.
        bos: the token before the first one.
        eos: the token that ends a translation; it is not returned.
        max_length: maximum number of tokens; the search then stops without `eos`.
    """
    raise NotImplementedError("write this function")
