"""Batch composition, batch order, and sharding over processes.

The result depends only on the seed and the epoch.

Each pair of an epoch is one 64-bit number, built and sorted in place. The sort key is in the high
bits, the pair in the low bits. Only the sorted pairs are kept, at 4 bytes each.
"""

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nmt.data.ragged import blocks

# A band holds whole target lengths. If one length fills a band, only the source side is padded.
# Bands of 1 to 8 batches give 4.5 to 4.9% padding in Multi30k at 4,000 tokens per batch.
_BATCHES_IN_BAND: Final = 6
_LONGEST_KEY: Final = 2**15 - 1
_PAIR_BITS: Final = 32
_BLOCK: Final = 2**14  # pairs per step, to bound temporary memory


Keys: TypeAlias = NDArray[np.uint64]
"""A sort key, or the number, of each pair of an epoch."""
Cuts: TypeAlias = NDArray[np.uintc]
"""Positions in the sorted pairs, or in the batches."""


@dataclass(frozen=True, eq=False)
class PairLengths:
    """Lengths in tokens of N pairs, of all corpora in order.

    Attributes:
        source: `[N]`, lengths of the source sentences, without EOS.
        target: `[N]`, lengths of the target sentences, without BOS and EOS.
    """

    source: NDArray[np.integer[Any]]
    target: NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.source)

    def of_batch(self, pairs: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.int64]:
        """Return the size of M pairs in a batch, `[M]`: tokens of the longer side, plus EOS."""
        longer: NDArray[np.integer[Any]] = np.maximum(self.source[pairs], self.target[pairs])
        return longer.astype(np.int64) + 1


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches of an epoch; each is the ascending indices of its pairs.

    Attributes:
        pairs: `[P]`, uint32, pair indices; those of a batch are adjacent.
        cuts: `[batches + 1]`, boundaries of the batches in `pairs`.
        order: `[batches]`, the shuffled order of the batches.
    """

    pairs: NDArray[np.uint32]
    cuts: Cuts
    order: Cuts

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, number: int) -> NDArray[np.int64]:
        index = int(self.order[number])
        return np.sort(self.pairs[self.cuts[index] : self.cuts[index + 1]]).astype(np.int64)


@dataclass(eq=False)
class BatchSampler:
    """Sampler of batches of pairs of similar length.

    The pairs of an epoch are grouped into bands of similar target length. Each band is sorted by
    source length, alternately ascending and descending, so that lengths do not jump between bands.
    The sorted sequence is then cut into batches, which are shuffled. Each epoch draws at random the
    order among equal lengths, the start of bands and batches, and which bands are ascending.

    Args:
        sizes: number of pairs of each corpus. Fewer than 2^32 in total, and in an epoch.
        seed: the random seed.
        weights: how often the pairs of each corpus are seen per epoch; None: once. With a
            fractional part, that share of the pairs, redrawn each epoch, is seen once more.
        batch_tokens: maximum tokens on the longer side of a batch, with padding and EOS (sentences
            times the longest length). A longer sentence forms a batch of its own.
        batch_sentences: maximum sentences in a batch. At least one of the two limits is needed.
    """

    sizes: Sequence[int]
    _: KW_ONLY
    seed: int
    weights: Sequence[float] | None = None
    batch_tokens: int | None = None
    batch_sentences: int | None = None

    def __post_init__(self) -> None:
        assert self.batch_tokens is not None or self.batch_sentences is not None
        self._weights = [1.0] * len(self.sizes) if self.weights is None else self.weights
        assert len(self.sizes) == len(self._weights)
        assert sum(self.sizes) < 2**_PAIR_BITS
        self._batch_tokens = math.inf if self.batch_tokens is None else self.batch_tokens
        self._batch_sentences = math.inf if self.batch_sentences is None else self.batch_sentences

    def batches(self, epoch: int, lengths: PairLengths) -> Batches:
        """Return the batches of an epoch.

        Pairs are numbered consecutively over the corpora. Besides the lengths, building takes 12
        bytes per pair of the epoch and a few megabytes. The result takes 4 bytes per pair and 8 per
        batch.

        Args:
            epoch: the number of the epoch.
            lengths: lengths of all pairs in this epoch.
        """
        assert len(lengths) == sum(self.sizes)
        rng = np.random.default_rng([self.seed, epoch])
        keys = self._chosen(rng)
        # Scrambles the pair bits, so that ties are not in corpus order; odd, hence invertible.
        factor = int(rng.integers(2 ** (_PAIR_BITS - 1))) * 2 + 1
        self._make_keys(keys, lengths, factor, rng)
        keys.sort()
        pairs = keys.astype(np.uint32)
        pairs *= np.uint32(pow(factor, -1, 2**_PAIR_BITS))
        cuts = self._cuts(pairs, lengths, rng.random())
        order = np.arange(len(cuts) - 1, dtype=np.uintc)
        rng.shuffle(order)
        return Batches(pairs, cuts, order)

    def _chosen(self, rng: np.random.Generator) -> Keys:
        """Return the pairs of an epoch, `[P]`, each repeated as often as it is seen."""
        # Random rounding keeps the mean exact, even for tiny corpora.
        offsets = rng.random(len(self.sizes)).tolist()
        counts = [
            int(weight) * size + int(weight % 1 * size + offset)
            for size, weight, offset in zip(self.sizes, self._weights, offsets, strict=True)
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
        for size, weight, offset in zip(self.sizes, self._weights, offsets, strict=True):
            for first in range(0, size, _BLOCK):
                end = min(first + _BLOCK, size)
                block = np.arange(start + first, start + end)
                yield from [block] * int(weight)
                rest = int(weight % 1 * end + offset) - int(weight % 1 * first + offset)
                if rest:
                    yield rng.permutation(block)[:rest]
            start += size

    def _make_keys(
        self, keys: Keys, lengths: PairLengths, factor: int, rng: np.random.Generator
    ) -> None:
        """Replace pairs, `[P]`, by sort keys: band, (reversed) source length, random bits, pair."""
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

    def _bands(self, pairs: Keys, lengths: PairLengths, rng: np.random.Generator) -> Keys:
        """Return the band of each target length, ascending from 0."""
        filled = np.zeros(_longest(lengths.target) + 1)  # batches
        for rows in blocks(len(pairs), _BLOCK):
            block = pairs[rows]
            shares = lengths.of_batch(block) / self._batch_tokens  # of a batch, per pair
            shares = np.maximum(shares, 1 / self._batch_sentences)
            target = np.minimum(lengths.target[block], len(filled) - 1)
            filled += np.bincount(target, weights=shares, minlength=len(filled))
        before = np.cumsum(filled) / _BATCHES_IN_BAND
        is_first_of_band = np.diff(np.floor(before + rng.random()), prepend=0) > 0
        return np.cumsum(is_first_of_band, dtype=np.uint64)

    def _cuts(self, pairs: NDArray[np.uint32], lengths: PairLengths, first: float) -> Cuts:
        """Return the batch boundaries, `[batches + 1]`.

        The limits of the first batch are scaled by `first`.
        """
        cuts = array("I", [0])
        share = first
        while cuts[-1] < len(pairs):
            cuts.append(cuts[-1] + self._size_of_batch(pairs[cuts[-1] :], lengths, share))
            share = 1.0
        return np.frombuffer(cuts, np.uintc)

    def _size_of_batch(self, pairs: NDArray[np.uint32], lengths: PairLengths, share: float) -> int:
        """Return how many leading pairs fit into a share of a batch, at least one."""
        budget = share * self._batch_tokens
        longest = int(lengths.of_batch(pairs[:1])[0])
        # Bounds the search, instead of scanning the rest of the corpus each time.
        most = int(min(len(pairs), share * self._batch_sentences, budget / longest))
        sizes = np.maximum.accumulate(lengths.of_batch(pairs[:most]))
        tokens = sizes * np.arange(1, most + 1)
        return max(1, int(np.searchsorted(tokens, budget, side="right")))


@dataclass(frozen=True)
class Shard:
    """Share of one process in each update.

    Attributes:
        rank: the process number, from 0.
        size: the number of processes.
    """

    rank: int = 0
    size: int = 1

    def ranks_per_batch(self, num_batches: int) -> list[int]:
        """Return the number of processes that compute each batch of an update.

        As long as there are enough batches, each process takes whole ones, because a recurrent
        network hardly saves time on half the sentences. Each remaining batch is split among
        several processes.
        """
        num_left = num_batches % self.size
        cut = [rank * num_left // self.size for rank in range(self.size)]
        return [1] * (num_batches - num_left) + [cut.count(index) for index in range(num_left)]

    def select(self, batches: list[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return this process's batches, or parts of batches, of an update; may be empty.

        `ranks_per_batch` decides the distribution. The shards of all processes cover every pair
        exactly once.

        Args:
            batches: the pair indices of each batch, `[B]`.
        """
        num_whole = len(batches) - len(batches) % self.size
        mine = batches[self.rank : num_whole : self.size]
        left = zip(batches[num_whole:], self.ranks_per_batch(len(batches))[num_whole:], strict=True)
        pieces = [
            piece
            for batch, number in left
            for piece in np.array_split(batch, number)  # one per process, over all batches
        ]
        if pieces and len(pieces[self.rank]):
            mine.append(pieces[self.rank])
        return mine


UNSHARDED: Final = Shard()


def _longest(lengths: NDArray[np.integer[Any]]) -> int:
    return min(int(lengths.max(initial=0)), _LONGEST_KEY)
