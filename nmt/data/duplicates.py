"""Pairs that stand in the training data more than once, or in what it is measured on as well."""

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
    """How many pairs there are, blank ones left out, and how many of them repeat others.

    Attributes:
        num_training: pairs of all training corpora together.
        num_duplicates: those that stand before them, in the same corpus or in another.
        held_out: for each other corpus, its pairs and those that are training pairs too.
    """

    num_training: int
    num_duplicates: int
    held_out: list[tuple[int, int]]


def count_duplicates(
    training: Sequence[Corpus[Any]], held_out: Sequence[Corpus[Any]]
) -> Duplicates:
    """Return how many pairs repeat others, at 8 bytes for each training pair.

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
    """Return the hashes of the pairs of a corpus, in blocks; blank pairs are left out."""
    pairs = (
        (source, target)
        for source, target in corpus.read_pairs()
        if not (is_blank(source) or is_blank(target))
    )
    while block := list(islice(pairs, _BLOCK)):
        yield hash_pairs(block)
