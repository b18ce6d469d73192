"""IBM model 1: lexical translation probabilities of tokens, learned from a corpus."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nmt.core.special_tokens import PAD, SPECIAL_SYMBOLS

Ids = NDArray[np.int64]

_NULL: Final = PAD  # the empty source word (NULL); PAD never occurs in text


@dataclass(frozen=True, eq=False)
class Block:
    """Some sentence pairs: concatenated source and target tokens, with the sentence lengths."""

    source: Ids
    source_lengths: Ids
    target: Ids
    target_lengths: Ids


@dataclass(frozen=True, eq=False)
class Lexicon:
    """A table of translations of tokens.

    Attributes:
        candidates: `[V C]`, target tokens for each source token, the most probable first, padded
            with PAD.
        probabilities: `[V C]`, ``t(target | source)`` of each candidate.
        frequent: `[F]`, target tokens of the corpus, the most frequent first.
    """

    candidates: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    frequent: NDArray[np.int32]


def train_lexicon(
    blocks: Callable[[], Iterator[Block]],
    source_size: int,
    target_size: int,
    *,
    iterations: int,
    num_candidates: int = 64,
) -> Lexicon:
    """Estimate ``t(f | e)`` by expectation maximisation (IBM model 1: Brown 1993, section 4.1).

    Each target token comes from one source token of its sentence, or from the empty word. Memory
    grows with the number of distinct token pairs that occur in the same sentence pair.

    Args:
        blocks: returns the corpus; called ``iterations + 2`` times. Memory also grows with the
            number of token pairs in one block.
        source_size: V of the source.
        target_size: V of the target.
        iterations: of the algorithm.
        num_candidates: C, the candidates to keep for each source token.
    """
    keys = _find_pairs(blocks, target_size)
    of_source = keys // target_size
    table = np.ones(len(keys))
    for _ in range(iterations):
        expected = np.zeros(len(keys))
        for block in blocks():
            links, num_sources = _links(block, target_size)
            places = np.searchsorted(keys, links)
            np.add.at(expected, places, _shares(table[places], num_sources))
        totals = np.bincount(of_source, expected, minlength=source_size)
        table = expected / np.maximum(totals[of_source], np.finfo(float).tiny)
    best = _best(keys, table, source_size, target_size, num_candidates)
    return Lexicon(*best, _most_frequent(blocks(), target_size))


def make_lexicon(
    entries: Iterable[tuple[int, int, float]],
    blocks: Iterable[Block],
    source_size: int,
    target_size: int,
    *,
    num_candidates: int = 64,
) -> Lexicon:
    """Return the lexicon with these entries; of duplicates, the highest probability is kept.

    Args:
        entries: ``(source token, target token, probability)`` each.
        blocks: the corpus, for the frequencies of target tokens.
        source_size: V of the source.
        target_size: V of the target.
        num_candidates: C, the candidates to keep for each source token.
    """
    source, target, probability = np.array(list(entries)).reshape(-1, 3).T
    pairs = (source * target_size + target).astype(np.int64)
    keys, places = np.unique(pairs, return_inverse=True)
    table = np.zeros(len(keys))
    np.maximum.at(table, places, probability)
    best = _best(keys, table, source_size, target_size, num_candidates)
    return Lexicon(*best, _most_frequent(blocks, target_size))


def _find_pairs(blocks: Callable[[], Iterator[Block]], target_size: int) -> Ids:
    """Return the distinct token pairs that share a sentence pair, as ascending numbers."""
    # Merge only sets of similar size, so that each pair is sorted few times.
    found: list[Ids] = []
    for block in blocks():
        found.append(np.unique(_links(block, target_size)[0]))
        while len(found) > 1 and len(found[-2]) <= 2 * len(found[-1]):
            found[-2:] = [np.union1d(*found[-2:])]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def _links(block: Block, target_size: int) -> tuple[Ids, Ids]:
    """Pair each target token with the empty word and every source token of its sentence.

    Returns:
        The pairs as one number each, grouped by target token; and the number of pairs of each
        target token.
    """
    # The empty word comes before each source sentence.
    starts = np.cumsum(block.source_lengths) - block.source_lengths
    source = np.insert(block.source.astype(np.int64), starts, _NULL)
    lengths = block.source_lengths + 1
    starts = np.cumsum(lengths) - lengths
    # Each target token is repeated once for each token of its source sentence.
    sentence = np.repeat(np.arange(len(lengths)), block.target_lengths)
    num_sources = lengths[sentence]
    firsts = np.cumsum(num_sources) - num_sources
    offset = np.arange(num_sources.sum()) - np.repeat(firsts, num_sources)
    places = np.repeat(starts[sentence], num_sources) + offset
    return source[places] * target_size + np.repeat(block.target, num_sources), num_sources


def _shares(probabilities: NDArray[np.float64], num_sources: Ids) -> NDArray[np.float64]:
    """Return the probability of each link, normalised over the links of its target token."""
    totals = np.add.reduceat(probabilities, np.cumsum(num_sources) - num_sources)
    shares: NDArray[np.float64] = probabilities / np.repeat(totals, num_sources)
    return shares


def _most_frequent(blocks: Iterable[Block], target_size: int) -> NDArray[np.int32]:
    """Return the target tokens of the corpus without special symbols, the most frequent first."""
    counts = np.zeros(target_size, dtype=np.int64)
    for block in blocks:
        counts += np.bincount(block.target, minlength=target_size)
    order = np.argsort(-counts, kind="stable")
    order = order[(counts[order] > 0) & (order >= len(SPECIAL_SYMBOLS))]
    return order.astype(np.int32)


def _best(
    keys: Ids,
    table: NDArray[np.float64],
    source_size: int,
    target_size: int,
    num_candidates: int,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the most probable candidates of each source token, without special symbols.

    Candidates with equal probabilities are ordered by their ids.
    """
    source, target = keys // target_size, keys % target_size
    order = np.lexsort((-table, source))
    order = order[target[order] >= len(SPECIAL_SYMBOLS)]
    source, target, table = source[order], target[order], table[order]
    firsts = np.searchsorted(source, np.arange(source_size))
    rank = np.arange(len(source)) - firsts[source]
    kept = rank < num_candidates
    candidates = np.full((source_size, num_candidates), PAD, dtype=np.int32)
    probabilities = np.zeros((source_size, num_candidates), dtype=np.float32)
    candidates[source[kept], rank[kept]] = target[kept]
    probabilities[source[kept], rank[kept]] = table[kept]
    return candidates, probabilities
