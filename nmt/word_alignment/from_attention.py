"""Word alignments from attention: merge weights of tokens to words, and link the largest."""

import numpy as np
from numpy.typing import NDArray

from nmt.word_alignment.pharaoh import Alignment

Weights = NDArray[np.floating]


def merge_tokens(weights: Weights, source_shares: Weights, target_weights: Weights) -> Weights:
    """Return attention between words (or other units) from attention between tokens.

    Weights are summed over the tokens of a source word and averaged over the tokens of a target
    word. The column of the source EOS and the row of the target EOS are dropped. A row sums to at
    most 1; the rest is weight on EOS.

    Args:
        weights: `[T S]`, attention without padding; may have one more row or column, for EOS.
        source_shares: `[source tokens, source words]`, the share of each token in each word;
            without EOS.
        target_weights: `[target tokens, target words]`, the weight of each token in the mean of
            each word. A word without tokens gets a row of zeros.

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
    """Link each target word to the source word with the largest weight; the first, if several.

    Args:
        word_weights: `[target words, source words]`.
        threshold: a target word gets a link only if its largest weight is above this.
    """
    if word_weights.size == 0:
        return frozenset()
    best = word_weights.argmax(axis=1)
    largest = word_weights.max(axis=1)
    return frozenset(
        (int(source), target) for target, source in enumerate(best) if largest[target] > threshold
    )
