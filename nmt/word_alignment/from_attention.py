"""Word alignments from attention: weights of tokens merged to words, and links of the largest."""

import numpy as np
from numpy.typing import NDArray

from nmt.word_alignment.pharaoh import Alignment

Weights = NDArray[np.floating]


def merge_tokens(
    weights: Weights, source_shares: NDArray[np.float64], target_weights: NDArray[np.float64]
) -> Weights:
    """Return attention between words (or other units) from attention between tokens.

    What a word is looked at is the sum over its tokens, and what a word looks at is the mean over
    its tokens: a row still sums to at most 1. The weight on the EOS of the source is left out, and
    so is the row of the EOS of the target: what is missing to 1 is what the word looked at no word.

    Args:
        weights: `[T S]` or with one more column or row or both, for EOS: attention as the model
            gives it, without padding.
        source_shares: `[source tokens, source words]`: how much of each token, but EOS, is in each
            word.
        target_weights: `[target tokens, target words]`: how much each token counts in the mean of
            each word; a word of none has a row of zeros.

    Returns:
        `[target words, source words]`, float64.
    """
    num_targets, num_sources = len(target_weights), len(source_shares)
    assert weights.shape[0] - num_targets in (0, 1), "a row for each target token, and EOS"
    assert weights.shape[1] - num_sources in (0, 1), "a column for each source token, and EOS"
    total = target_weights.sum(axis=0)
    mean = np.divide(target_weights, total, out=np.zeros_like(target_weights), where=total > 0)
    tokens = weights[:num_targets, :num_sources].astype(np.float64)
    merged: Weights = mean.T @ tokens @ source_shares
    return merged


def hard_alignment(word_weights: Weights, threshold: float = 0.0) -> Alignment:
    """One link for each target word: to the source word that it looks at most.

    Of source words with equal weights it is the first.

    Args:
        word_weights: `[target words, source words]`.
        threshold: a target word whose largest weight is not above this has no link.
    """
    if word_weights.size == 0:
        return frozenset()
    best = word_weights.argmax(axis=1)
    largest = word_weights.max(axis=1)
    return frozenset(
        (int(source), target) for target, source in enumerate(best) if largest[target] > threshold
    )
