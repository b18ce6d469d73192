"""Minimum Bayes risk decoding: choose the candidate that is most similar to all candidates.

Sources: Kumar & Byrne 2004; over samples, Eikema & Aziz 2020. The expected utility of a candidate
is its weighted mean chrF or BLEU with each candidate as the reference, itself included. The scores
equal those of sacreBLEU for single sentences, computed for all pairs at once.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nmt.evaluation.bleu_tokenizers import AUTO, load_tokenizer, resolve_tokenizer
from nmt.evaluation.metric import to_nfc

Matrix = NDArray[np.float64]


class Utility(ABC):
    """Score of a translation with another translation as the reference.

    Args:
        tokenizer: sacreBLEU tokenizer of the words of BLEU; auto: chosen by the script of the
            texts.
    """

    def __init__(self, tokenizer: str = AUTO) -> None:
        if tokenizer != AUTO:
            load_tokenizer(tokenizer)  # fail early
        self.tokenizer: Final = tokenizer

    @abstractmethod
    def __call__(self, texts: Sequence[str]) -> Matrix:
        """Return `[N N]`: the score, 0 to 100, of each text (row) against each (column)."""


class ChrfUtility(Utility):
    """chrF2 of character n-grams of order 1 to 6, without blanks (Popović 2015)."""

    order: Final = 6
    beta: Final = 2.0

    def __call__(self, texts: Sequence[str]) -> Matrix:
        """Return `[N N]`: the F-score of the mean precision and the mean recall of all orders."""
        characters = ["".join(text.split()) for text in texts]
        matches, totals = _match_ngrams(characters, self.order)
        of_references = totals.transpose(0, 2, 1)
        both = (totals > 0) & (of_references > 0)
        num_orders = np.maximum(both.sum(axis=0), 1)
        precision = (matches / np.maximum(totals, 1)).sum(axis=0, where=both) / num_orders
        recall = (matches / np.maximum(of_references, 1)).sum(axis=0, where=both) / num_orders
        weight = self.beta**2
        divisor = weight * precision + recall
        products: Matrix = 100 * (1 + weight) * precision * recall
        return products / np.where(divisor > 0, divisor, 1.0)


class BleuUtility(Utility):
    """Sentence BLEU with sacreBLEU's smoothing and effective order."""

    order: Final = 4

    def __call__(self, texts: Sequence[str]) -> Matrix:
        """Return `[N N]`: the geometric mean of the precisions times the brevity penalty."""
        tokenize = load_tokenizer(resolve_tokenizer(self.tokenizer, texts))
        words = [tuple(tokenize(text.rstrip()).split()) for text in texts]
        lengths = np.array([len(tokens) for tokens in words], np.float64)
        matches, totals = _match_ngrams(words, self.order)
        exists = np.broadcast_to(totals > 0, matches.shape)
        # Each order without a match halves the count that stands in for the missing one.
        smoothing = 0.5 ** np.cumsum(exists & (matches == 0), axis=0)
        smoothed = np.where(matches > 0, matches, smoothing)
        logarithms = np.log(smoothed / np.maximum(totals, 1)).sum(axis=0, where=exists)
        shortness = 1 - lengths[None, :] / np.maximum(lengths[:, None], 1)
        brevity = np.exp(np.minimum(shortness, 0.0))
        scores = 100 * brevity * np.exp(logarithms / np.maximum(exists.sum(axis=0), 1))
        return np.where((matches > 0).any(axis=0), scores, 0.0)


UTILITIES: Final[dict[str, type[Utility]]] = {"chrf": ChrfUtility, "bleu": BleuUtility}


def expected_utilities(
    texts: Sequence[str], weights: Sequence[float], utility: Callable[[Sequence[str]], Matrix]
) -> list[float]:
    """Return the expected utility of each text, with every text as a possible reference.

    Args:
        texts: translations of one sentence; duplicates count separately.
        weights: probability that each text is the reference; they sum to one.
        utility: returns the score of each text against each.
    """
    distinct = list(dict.fromkeys(texts))
    place = {text: index for index, text in enumerate(distinct)}
    mass = np.zeros(len(distinct))
    for text, weight in zip(texts, weights, strict=True):
        mass[place[text]] += weight
    worth = utility(distinct) @ mass
    return [float(worth[place[text]]) for text in texts]


class MinimumBayesRisk:
    """Choice among the candidates that a search has found for a sentence.

    Args:
        utility: score of one candidate against another.
        n_best: maximum number of candidates to keep for each sentence.
        are_samples: the candidates are samples, so their frequencies reflect their probabilities
            and all weights are equal; otherwise, their probabilities are the weights.
    """

    def __init__(self, utility: Utility, n_best: int, *, are_samples: bool) -> None:
        self.utility: Final = utility
        self.n_best: Final = n_best
        self.are_samples: Final = are_samples

    def __call__(
        self, texts: Sequence[str], log_probabilities: Sequence[float]
    ) -> list[tuple[int, float]]:
        """Return the index and expected utility of the best candidates of a sentence, best first.

        Of candidates with canonically equivalent texts, only the first is returned.
        """
        texts = to_nfc(texts)
        numbers = np.zeros(len(texts)) if self.are_samples else np.array(log_probabilities)
        weights = np.exp(numbers - numbers.max())
        worth = expected_utilities(texts, list(weights / weights.sum()), self.utility)
        firsts = {text: place for place, text in reversed(list(enumerate(texts)))}
        ranked = sorted(firsts.values(), key=lambda place: (-worth[place], place))
        return [(place, worth[place]) for place in ranked[: self.n_best]]


def _match_ngrams(sequences: Sequence[Sequence[str]], order: int) -> tuple[Matrix, Matrix]:
    """Return the n-gram matches of each pair of sequences, and the n-grams of each sequence.

    Returns:
        matches (clipped counts) `[order N N]` and numbers of n-grams `[order N 1]`, of size 1 to
        `order`.
    """
    counts = [_count_ngrams(sequences, size) for size in range(1, order + 1)]
    # Row by row, because a matrix of all pairs and n-grams would be large.
    matches = [[np.minimum(row, each).sum(axis=1) for row in each] for each in counts]
    return np.array(matches), np.array([each.sum(axis=1, keepdims=True) for each in counts])


def _count_ngrams(sequences: Sequence[Sequence[str]], size: int) -> Matrix:
    """Return `[N G]`: the count of each of the G distinct n-grams of a size in each sequence."""
    counters = [
        Counter(sequence[start : start + size] for start in range(len(sequence) - size + 1))
        for sequence in sequences
    ]
    columns = {ngram: column for column, ngram in enumerate(set().union(*counters))}
    counts = np.zeros((len(sequences), len(columns)))
    for row, counter in enumerate(counters):
        counts[row, [columns[ngram] for ngram in counter]] = list(counter.values())
    return counts
