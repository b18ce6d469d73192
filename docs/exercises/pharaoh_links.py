"""Exercise: the links of a heat map (docs/tour.md, Reading a heat map)."""

import numpy as np
from numpy.typing import NDArray


def pharaoh_links(weights: NDArray[np.float64]) -> str:
    """Return the word alignment of a sentence pair in the Pharaoh format, such as `0-0 1-2 2-1`.

    Each target word is linked to the source word with the largest weight: the first one, if there
    are several. A target word whose weights are all 0 has no link. A link is `source-target`,
    counted from 0. Links are in the order of the source words, then of the target words.

    Args:
        weights: `[T S]`, a row for each target word, a column for each source word.
    """
    raise NotImplementedError("write this function")
