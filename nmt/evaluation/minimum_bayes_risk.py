"""Minimum Bayes risk: of several translations that which is most like all of them.

(Kumar & Byrne 2004; over samples: Eikema & Aziz 2020.) What a translation is worth is the mean of
its chrF or BLEU against each of them, taken for a reference; it is itself one of them, and counts
with its own weight. These are the figures of sacreBLEU for single sentences, for all pairs at once.
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
    """How good a translation is if another one is the reference.

    Args:
        tokenizer: sacreBLEU's name of what makes the words of BLEU; auto: by the script of the
            texts.
    """

    def __init__(self, tokenizer: str = AUTO) -> None:
        if tokenizer != AUTO:
            load_tokenizer(tokenizer)  # complain before the work, not after it
        self.tokenizer: Final = tokenizer

    @abstractmethod
    def __call__(self, texts: Sequence[str]) -> Matrix:
        """`[N N]`, 0 to 100: of each text (row) against each (column)."""


class ChrfUtility(Utility):
    """chrF2 of characters, 1 to 6 in a row, blanks left out (Popović 2015)."""

    order: Final = 6
    beta: Final = 2.0

    def __call__(self, texts: Sequence[str]) -> Matrix:
        """`[N N]`: the F-score of the mean precision and the mean recall of all orders."""
        characters = ["".join(text.split()) for text in texts]
        precision = np.zeros((len(texts), len(texts)))
        recall, num_orders = np.zeros_like(precision), np.zeros_like(precision)
        for size in range(1, self.order + 1):
            counts = _count_ngrams(characters, size)
            matches, totals = _matches(counts), counts.sum(axis=1)
            both = (totals[:, None] > 0) & (totals[None, :] > 0)
            precision += np.where(both, matches / np.maximum(totals[:, None], 1), 0.0)
            recall += np.where(both, matches / np.maximum(totals[None, :], 1), 0.0)
            num_orders += both
        precision /= np.maximum(num_orders, 1)
        recall /= np.maximum(num_orders, 1)
        weight = self.beta**2
        divisor = weight * precision + recall
        return 100 * (1 + weight) * precision * recall / np.where(divisor > 0, divisor, 1.0)


class BleuUtility(Utility):
    """BLEU with sacreBLEU's smoothing and effective order for sentences."""

    order: Final = 4

    def __call__(self, texts: Sequence[str]) -> Matrix:
        """`[N N]`: the geometric mean of the precisions times the brevity penalty."""
        tokenize = load_tokenizer(resolve_tokenizer(self.tokenizer, texts))
        words = [tuple(tokenize(text.rstrip()).split()) for text in texts]
        lengths = np.array([len(tokens) for tokens in words], np.float64)
        logarithms, smoothing = np.zeros((len(texts), len(texts))), np.ones((len(texts),) * 2)
        num_orders = np.zeros((len(texts), len(texts)))
        any_match = np.zeros((len(texts), len(texts)), bool)
        for size in range(1, self.order + 1):
            counts = _count_ngrams(words, size)
            matches, totals = _matches(counts), counts.sum(axis=1)[:, None]
            exists = np.broadcast_to(totals > 0, matches.shape)
            any_match |= matches > 0
            smoothing = np.where(exists & (matches == 0), smoothing * 2, smoothing)
            smoothed = np.where(matches > 0, matches, 1 / smoothing)
            logarithms += np.where(exists, np.log(smoothed / np.maximum(totals, 1)), 0.0)
            num_orders += exists
        shortness = 1 - lengths[None, :] / np.maximum(lengths[:, None], 1)
        brevity = np.exp(np.minimum(shortness, 0.0))
        scores = 100 * brevity * np.exp(logarithms / np.maximum(num_orders, 1))
        return np.where(any_match, scores, 0.0)


UTILITIES: Final[dict[str, type[Utility]]] = {"chrf": ChrfUtility, "bleu": BleuUtility}


def expected_utilities(
    texts: Sequence[str], weights: Sequence[float], utility: Callable[[Sequence[str]], Matrix]
) -> list[float]:
    """What each text is worth on average, if the reference is one of them.

    Args:
        texts: translations of one sentence; one that was drawn twice counts twice.
        weights: how probable each is to be the reference; they sum to one.
        utility: of each against each.
    """
    distinct = list(dict.fromkeys(texts))
    place = {text: index for index, text in enumerate(distinct)}
    mass = np.zeros(len(distinct))
    for text, weight in zip(texts, weights, strict=True):
        mass[place[text]] += weight
    worth = utility(distinct) @ mass
    return [float(worth[place[text]]) for text in texts]


class MinimumBayesRisk:
    """Chooses among the candidates that a search has found for each sentence.

    Args:
        utility: how good one is against another.
        n_best: most to keep of each sentence.
        are_samples: they were drawn, so that the probable are there more often; else they are
            weighted by their probabilities.
    """

    def __init__(self, utility: Utility, n_best: int, *, are_samples: bool) -> None:
        self.utility: Final = utility
        self.n_best: Final = n_best
        self.are_samples: Final = are_samples

    def __call__(
        self, texts: Sequence[str], log_probabilities: Sequence[float]
    ) -> list[tuple[int, float]]:
        """The best candidates of one sentence, best first: which, and what each is worth.

        No two have canonically equal texts; of equal ones that which comes first.
        """
        texts = to_nfc(texts)
        numbers = np.zeros(len(texts)) if self.are_samples else np.array(log_probabilities)
        weights = np.exp(numbers - numbers.max())
        worth = expected_utilities(texts, list(weights / weights.sum()), self.utility)
        firsts = {text: place for place, text in reversed(list(enumerate(texts)))}
        ranked = sorted(firsts.values(), key=lambda place: (-worth[place], place))
        return [(place, worth[place]) for place in ranked[: self.n_best]]


def _count_ngrams(sequences: Sequence[Sequence[str]], size: int) -> Matrix:
    """`[N G]`: how often each n-gram of that size is in each sequence; G of them in all."""
    counters = [
        Counter(sequence[start : start + size] for start in range(len(sequence) - size + 1))
        for sequence in sequences
    ]
    columns = {ngram: column for column, ngram in enumerate(set().union(*counters))}
    counts = np.zeros((len(sequences), len(columns)))
    for row, counter in enumerate(counters):
        counts[row, [columns[ngram] for ngram in counter]] = list(counter.values())
    return counts


def _matches(counts: Matrix) -> Matrix:
    """`[N N]`: n-grams that two sequences have in common, each as often as both have it."""
    # Row by row, as a matrix of all pairs and n-grams would be large.
    return np.stack([np.minimum(row, counts).sum(axis=1) for row in counts])
