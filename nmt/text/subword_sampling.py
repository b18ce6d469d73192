"""Random splits of words into pieces, as pure functions of the word and a generator.

SentencePiece can sample, but from a thread-local generator. Its results depend on earlier samples,
so training could not be resumed bit for bit.
"""

import heapq
import math
import random
from bisect import bisect
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import TypeAlias

from nmt.text.vocabulary import cache_words

# Splits a word at random; unknown pieces are single characters.
Sampler: TypeAlias = Callable[[str, random.Random], list[str]]


class MergeDropout:
    """BPE-dropout (Provilkov et al. 2020, Algorithm 1): merges are dropped at random.

    In the paper, each step drops every possible merge with some probability, then applies the
    remaining merge that was learnt first. Trying merges in the order of learning until one is kept
    is equivalent.

    Args:
        ranks: rank of each piece in the order of learning.
        probability: probability of dropping a merge, strictly between 0 and 1.
    """

    def __init__(self, ranks: Mapping[str, float], probability: float) -> None:
        self._ranks = ranks
        self._log_keep = math.log1p(-probability)
        self._undisturbed = cache_words(lambda word: merge(word, ranks, lambda: True))

    def __call__(self, word: str, rng: random.Random) -> list[str]:
        """Return the pieces of a word."""
        kept = self._draw_run(rng)
        pieces, num_merges = self._undisturbed(word)
        if kept >= num_merges:  # the usual case: nothing to compute
            return pieces

        def keep() -> bool:
            nonlocal kept
            kept -= 1
            if kept >= 0:
                return True
            kept = self._draw_run(rng)
            return False

        return merge(word, self._ranks, keep)[0]

    def _draw_run(self, rng: random.Random) -> int:
        """Draw the number of merges that are kept before one is dropped (geometric)."""
        return int(math.log(1.0 - rng.random()) / self._log_keep)


def merge(word: str, ranks: Mapping[str, float], keep: Callable[[], bool]) -> tuple[list[str], int]:
    """Split a word by byte pair encoding (Sennrich et al. 2016) with optional merges.

    Args:
        word: the word; its characters are the initial symbols.
        ranks: rank of each piece. Neighbours can be merged if their concatenation has a rank; the
            lowest rank is merged first, then the leftmost.
        keep: called for each candidate merge; returns False to drop it. Dropped candidates are
            tried again after the next merge.

    Returns:
        The pieces, and the number of merges.
    """
    symbols = list(word)
    end = len(symbols)
    after = list(range(1, end + 1))
    before = list(range(-1, end - 1))
    possible: list[tuple[float, int, str]] = []

    def consider(left: int) -> None:
        if left >= 0 and after[left] < end:
            pair = symbols[left] + symbols[after[left]]
            if pair in ranks:
                heapq.heappush(possible, (ranks[pair], left, pair))

    for left in range(end):
        consider(left)
    refused: list[tuple[float, int, str]] = []
    num_merges = 0
    while possible:
        _, left, pair = candidate = heapq.heappop(possible)
        right = after[left]
        if not symbols[left] or right == end or symbols[left] + symbols[right] != pair:
            continue  # one of the two has been merged with another since
        if not keep():
            refused.append(candidate)
            continue
        symbols[left], symbols[right] = pair, ""
        after[left] = after[right]
        if after[left] < end:
            before[after[left]] = left
        consider(before[left])
        consider(left)
        num_merges += 1
        for candidate in refused:
            heapq.heappush(possible, candidate)
        refused.clear()
    return [symbol for symbol in symbols if symbol], num_merges


class UnigramSampler:
    """Subword regularization (Kudo 2018, section 3.3) over all splits of a word (l = infinity).

    A split x has probability P(x)^alpha / sum of P(x')^alpha, and is sampled exactly by forward
    filtering and backward sampling. Words are independent in a unigram model, so sampling each
    word is equivalent to sampling the sentence.

    Args:
        scores: log-probability of each piece.
        alpha: 1 samples from the model. Lower values flatten the distribution; large values select
            the best split.
    """

    def __init__(self, scores: Mapping[str, float], alpha: float) -> None:
        self._scores = {piece: alpha * score for piece, score in scores.items()}
        self._longest = max(map(len, scores))
        self._lattice = cache_words(self._filter, most=2**13)  # they are large

    def __call__(self, word: str, rng: random.Random) -> list[str]:
        """Return the pieces of a word."""
        lattice = self._lattice(word)
        pieces: list[str] = []
        end = len(word)
        while end > 0:
            starts, cumulative = lattice[end]
            start = starts[bisect(cumulative, rng.random() * cumulative[-1], hi=len(starts) - 1)]
            pieces.append(word[start:end])
            end = start
        return pieces[::-1]

    def _filter(self, word: str) -> list[tuple[list[int], list[float]]]:
        """Return the possible starts of a piece and their cumulative weights, for each end."""
        totals = [0.0]  # log of the total weight of all splits up to each position
        lattice: list[tuple[list[int], list[float]]] = [([], [])]
        for end in range(1, len(word) + 1):
            starts = [
                start
                for start in range(max(0, end - self._longest), end)
                if word[start:end] in self._scores
            ]
            if not starts or starts[-1] != end - 1:
                starts.append(end - 1)  # an unknown character is in all splits, so its weight is 1
            scores = [totals[start] + self._scores.get(word[start:end], 0.0) for start in starts]
            best = max(scores)
            cumulative = list(accumulate(math.exp(score - best) for score in scores))
            totals.append(best + math.log(cumulative[-1]))
            lattice.append((starts, cumulative))
        return lattice
