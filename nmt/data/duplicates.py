"""Duplicate pairs within the training data, and between training and held-out data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nmt.data.filters import SeenHashes, hash_pairs
from nmt.data.formats.corpus import Corpus, is_blank

_BLOCK: Final = 4096  # pairs in memory at a time


@dataclass(frozen=True)
class Duplicates:
    """Counts of pairs and of duplicates; blank pairs are not counted.

    Attributes:
        num_training: pairs of all training corpora.
        num_duplicates: training pairs that repeat an earlier one, in any training corpus.
        held_out: for each held-out corpus, its number of pairs and how many are training pairs.
    """

    num_training: int
    num_duplicates: int
    held_out: list[tuple[int, int]]


def count_duplicates(
    training: Sequence[Corpus[Any]], held_out: Sequence[Corpus[Any]]
) -> Duplicates:
    """Count duplicate pairs, with 8 bytes of memory per training pair.

    Raises:
        DataError: a corpus cannot be read.
    """
    seen = SeenHashes()
    num_training = num_duplicates = 0
    for corpus in training:
        for hashes in hash_corpus(corpus):
            num_training += len(hashes)
            num_duplicates += int(np.sum(~seen.add(hashes)))
    found = [
        [(len(hashes), int(np.sum(seen.contain(hashes)))) for hashes in hash_corpus(corpus)]
        for corpus in held_out
    ]
    sums = [(sum(size for size, _ in blocks), sum(n for _, n in blocks)) for blocks in found]
    return Duplicates(num_training, num_duplicates, sums)


def hash_corpus(corpus: Corpus[Any]) -> Iterator[NDArray[np.uint64]]:
    """Yield the hashes of the pairs of a corpus in blocks; blank pairs are skipped."""
    pairs = (
        (source, target)
        for source, target in corpus.read_pairs()
        if not (is_blank(source) or is_blank(target))
    )
    while block := list(islice(pairs, _BLOCK)):
        yield hash_pairs(block)
