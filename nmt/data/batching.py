"""Which pairs go into a batch together, in which order, and to which process.

It is a function of seed and epoch only.

For each pair of an epoch there is one number of 64 bits, made and sorted in place: what to sort by
above, the pair below. Only the sorted pairs are kept, at 4 bytes each.
"""

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nmt.data.ragged import blocks

# Of whole lengths, so that padding is on the source side only where a length fills a band. With
# bands of 1 to 8 batches there is 4.5 to 4.9% of padding in Multi30k at 4,000 tokens a batch.
_BATCHES_IN_BAND: Final = 6
_LONGEST_KEY: Final = 2**15 - 1
_PAIR_BITS: Final = 32
_BLOCK: Final = 2**14  # pairs for which there is more at a time than their 64 bits


@dataclass(frozen=True, eq=False)
class PairLengths:
    """Tokens of N pairs, of all corpora one after the other.

    Attributes:
        source: `[N]`: of each source sentence, without EOS.
        target: `[N]`: of each target sentence, without BOS and EOS.
    """

    source: NDArray[np.integer[Any]]
    target: NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.source)

    def of_batch(self, pairs: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.int64]:
        """What some pairs, `[M]`, take of a batch: tokens of the longer side, and EOS."""
        longer: NDArray[np.integer[Any]] = np.maximum(self.source[pairs], self.target[pairs])
        return longer.astype(np.int64) + 1


@dataclass(frozen=True, eq=False)
class Batches:
    """The batches of an epoch: each the numbers of its pairs, ascending.

    Attributes:
        pairs: `[P]`, uint32: those of a batch lie together.
        cuts: `[batches + 1]`: where they start and end.
        order: `[batches]`: which comes first.
    """

    pairs: NDArray[np.uint32]
    cuts: NDArray[np.uintc]
    order: NDArray[np.uintc]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, number: int) -> NDArray[np.int64]:
        index = int(self.order[number])
        return np.sort(self.pairs[self.cuts[index] : self.cuts[index + 1]]).astype(np.int64)


class BatchSampler:
    """Batches of pairs of like length.

    The pairs of an epoch are laid in bands of like target length; a band is sorted by source
    length, up and down in turn, so that there is no jump from one band to the next. The row is
    then cut into batches, and these are shuffled. By chance, and so other each epoch, are the order
    among equal lengths, where bands and batches start, and which bands go up.

    Args:
        sizes: pairs of each corpus; fewer than 2^32 in all, and in an epoch.
        seed: of everything random here.
        weights: for each corpus, how often its pairs are seen in an epoch: the integer part is so
            many times, the rest a random share of the pairs, other each epoch; None: once.
        batch_tokens: most tokens on the larger side of a batch, padding and EOS counted: sentences
            times the longest. A sentence that is longer is a batch by itself.
        batch_sentences: most sentences of a batch. At least one of these two is needed.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        seed: int,
        weights: Sequence[float] | None = None,
        batch_tokens: int | None = None,
        batch_sentences: int | None = None,
    ) -> None:
        assert batch_tokens is not None or batch_sentences is not None
        self._sizes = list(sizes)
        self._weights = [1.0] * len(self._sizes) if weights is None else list(weights)
        assert len(self._sizes) == len(self._weights)
        assert sum(self._sizes) < 2**_PAIR_BITS
        self._seed = seed
        self._batch_tokens = math.inf if batch_tokens is None else batch_tokens
        self._batch_sentences = math.inf if batch_sentences is None else batch_sentences

    def batches(self, epoch: int, lengths: PairLengths) -> Batches:
        """The batches of an epoch.

        Pairs are numbered through the corpora: those of the second follow the last of the first.
        To make them takes 12 bytes a pair of the epoch besides the lengths, and a few megabytes; to
        keep them 4 a pair and 8 a batch.

        Args:
            epoch: which pass over the data.
            lengths: of all pairs, as this epoch sees them.
        """
        assert len(lengths) == sum(self._sizes)
        rng = np.random.default_rng([self._seed, epoch])
        keys = self._chosen(rng)
        # So that where all else is equal, the order is not that of the corpus; odd, to be undone.
        factor = int(rng.integers(2 ** (_PAIR_BITS - 1))) * 2 + 1
        self._make_keys(keys, lengths, factor, rng)
        keys.sort()
        pairs = keys.astype(np.uint32)
        pairs *= np.uint32(pow(factor, -1, 2**_PAIR_BITS))
        cuts = self._cuts(pairs, lengths, rng.random())
        order = np.arange(len(cuts) - 1, dtype=np.uintc)
        rng.shuffle(order)
        return Batches(pairs, cuts, order)

    def _chosen(self, rng: np.random.Generator) -> NDArray[np.uint64]:
        """The pairs of an epoch, `[P]`, each as often as it is to be seen."""
        # Rounded at random, so that the mean is right for the smallest corpus too.
        offsets = rng.random(len(self._sizes)).tolist()
        counts = [
            int(weight) * size + int(weight % 1 * size + offset)
            for size, weight, offset in zip(self._sizes, self._weights, offsets, strict=True)
        ]
        assert sum(counts) < 2**_PAIR_BITS
        keys = np.empty(sum(counts), np.uint64)
        end = 0
        for block in self._chosen_blocks(offsets, rng):
            keys[end : end + len(block)] = block
            end += len(block)
        return keys

    def _chosen_blocks(
        self, offsets: Sequence[float], rng: np.random.Generator
    ) -> Iterator[NDArray[np.int64]]:
        start = 0
        for size, weight, offset in zip(self._sizes, self._weights, offsets, strict=True):
            for first in range(0, size, _BLOCK):
                end = min(first + _BLOCK, size)
                block = np.arange(start + first, start + end)
                yield from [block] * int(weight)
                rest = int(weight % 1 * end + offset) - int(weight % 1 * first + offset)
                if rest:
                    yield rng.permutation(block)[:rest]
            start += size

    def _make_keys(
        self,
        keys: NDArray[np.uint64],
        lengths: PairLengths,
        factor: int,
        rng: np.random.Generator,
    ) -> None:
        """Turn pairs, `[P]`, into what is sorted: band, source length up or down, chance, pair."""
        bands = self._bands(keys, lengths, rng)
        longest = _longest(lengths.source)
        source_bits = longest.bit_length()
        chance_bits = 64 - _PAIR_BITS - source_bits - int(bands[-1]).bit_length()
        parity = rng.integers(2, dtype=np.uint64)
        for rows in blocks(len(keys), _BLOCK):
            block = keys[rows]
            band = bands[np.minimum(lengths.target[block], len(bands) - 1)]
            source = np.minimum(lengths.source[block], longest).astype(np.uint64)
            source = np.where((band + parity) % 2 == 0, source, longest - source)
            chance = rng.integers(2**chance_bits, size=len(block), dtype=np.uint64)
            pair = block * np.uint64(factor) % 2**_PAIR_BITS
            high = (band << source_bits | source) << chance_bits | chance
            block[:] = high << _PAIR_BITS | pair

    def _bands(
        self, pairs: NDArray[np.uint64], lengths: PairLengths, rng: np.random.Generator
    ) -> NDArray[np.uint64]:
        """The band of each target length: from 0 on, of neighbouring lengths."""
        filled = np.zeros(_longest(lengths.target) + 1)  # batches
        for rows in blocks(len(pairs), _BLOCK):
            block = pairs[rows]
            shares = lengths.of_batch(block) / self._batch_tokens  # of a batch, that a pair fills
            shares = np.maximum(shares, 1 / self._batch_sentences)
            target = np.minimum(lengths.target[block], len(filled) - 1)
            filled += np.bincount(target, weights=shares, minlength=len(filled))
        before = np.cumsum(filled) / _BATCHES_IN_BAND
        is_first_of_band = np.diff(np.floor(before + rng.random()), prepend=0) > 0
        return np.cumsum(is_first_of_band, dtype=np.uint64)

    def _cuts(
        self, pairs: NDArray[np.uint32], lengths: PairLengths, first: float
    ) -> NDArray[np.uintc]:
        """Where batches start and end, `[batches + 1]`; the first fills `first` of the limits."""
        cuts = array("I", [0])
        share = first
        while cuts[-1] < len(pairs):
            cuts.append(cuts[-1] + self._size_of_batch(pairs[cuts[-1] :], lengths, share))
            share = 1.0
        return np.frombuffer(cuts, np.uintc)

    def _size_of_batch(self, pairs: NDArray[np.uint32], lengths: PairLengths, share: float) -> int:
        """How many pairs, from the first on, fit into that share of a batch; one always does."""
        budget = share * self._batch_tokens
        longest = int(lengths.of_batch(pairs[:1])[0])
        # Not to look at all of the corpus each time.
        most = int(min(len(pairs), share * self._batch_sentences, budget / longest))
        sizes = np.maximum.accumulate(lengths.of_batch(pairs[:most]))
        tokens = sizes * np.arange(1, most + 1)
        return max(1, int(np.searchsorted(tokens, budget, side="right")))


@dataclass(frozen=True)
class Shard:
    """One process among those that share an update.

    Attributes:
        rank: its number, from 0 on.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def ranks_per_batch(self, num_batches: int) -> list[int]:
        """Return the number of processes that compute each of the batches of one update.

        While there are as many batches as processes, each takes a whole one, as half the sentences
        take a recurrent network hardly less time. The rest are each cut among several.
        """
        num_left = num_batches % self.size
        cut = [rank * num_left // self.size for rank in range(self.size)]
        return [1] * (num_batches - num_left) + [cut.count(index) for index in range(num_left)]

    def select(self, batches: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return what this process computes of the batches of one update; perhaps nothing.

        `ranks_per_batch` says how they are distributed. All shards together are the batches.

        Args:
            batches: the numbers of their pairs, `[B]` each.
        """
        num_whole = len(batches) - len(batches) % self.size
        mine = batches[self.rank : num_whole : self.size]
        left = zip(batches[num_whole:], self.ranks_per_batch(len(batches))[num_whole:], strict=True)
        pieces = [
            piece
            for batch, number in left
            for piece in np.array_split(batch, number)  # one for each process, all together
        ]
        if pieces and len(pieces[self.rank]):
            mine.append(pieces[self.rank])
        return mine


UNSHARDED: Final = Shard()


def _longest(lengths: NDArray[np.integer[Any]]) -> int:
    return min(int(lengths.max(initial=0)), _LONGEST_KEY)
