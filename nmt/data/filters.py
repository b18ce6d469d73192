"""Filters of training pairs, with counts of the dropped pairs."""

import hashlib
import operator
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Filters:
    """Conditions for keeping a pair; pairs with an empty side are always dropped.

    Attributes:
        max_length: maximum length of each side in tokens; None: no limit.
        max_length_ratio: maximum ratio of the longer side to the shorter one; None: no limit.
        deduplicate: keep only the first of pairs with the same text; not for grids.
    """

    max_length: int | None = None
    max_length_ratio: float | None = None
    deduplicate: bool = False


@dataclass(frozen=True)
class FilterReport:
    """Counts of pairs read and dropped; each pair counts for the first reason that applies.

    Attributes:
        num_read: pairs in the files.
        num_empty: pairs with a side without tokens.
        num_too_long: pairs with a side longer than `max_length`.
        num_unequal: pairs above `max_length_ratio`.
        num_duplicates: pairs that occurred before, in this corpus or in an earlier one.
    """

    num_read: int = 0
    num_empty: int = 0
    num_too_long: int = 0
    num_unequal: int = 0
    num_duplicates: int = 0

    @property
    def num_kept(self) -> int:
        """Return the number of pairs kept."""
        kept: int = self.num_read - sum(astuple(self)[1:])
        return kept

    def __add__(self, other: "FilterReport") -> "FilterReport":
        return FilterReport(*map(operator.add, astuple(self), astuple(other)))

    def __str__(self) -> str:
        reasons = ("empty", "too long", "too different in length", "duplicate")
        counts = zip(astuple(self)[1:], reasons, strict=True)
        left_out = ", ".join([f"{count:,} {reason}" for count, reason in counts if count])
        kept = f"{self.num_kept:,} of {self.num_read:,} pairs kept"
        return f"{kept} ({left_out})" if left_out else kept


class PairFilter:
    """Stateful filter of the blocks of one corpus; it remembers the pairs seen.

    Args:
        filters: the conditions.
        before: hashes of the pairs of earlier corpora; such pairs count as duplicates.
    """

    def __init__(self, filters: Filters, before: Iterable[NDArray[np.uint64]] = ()) -> None:
        self._filters = filters
        self._seen = SeenHashes()
        for hashes in before:
            self._seen.add(hashes)

    def __call__(
        self,
        source_lengths: NDArray[np.int64],
        target_lengths: NDArray[np.int64],
        hashes: NDArray[np.uint64] | None = None,
    ) -> tuple[NDArray[np.bool_], FilterReport]:
        """Return a mask of the pairs to keep, `[N]`, and the counts.

        Args:
            source_lengths: `[N]`, tokens of each source sentence.
            target_lengths: `[N]`, tokens of each target sentence.
            hashes: `[N]`, from `hash_pairs`; required for deduplication.
        """
        shorter = np.minimum(source_lengths, target_lengths)
        longer = np.maximum(source_lengths, target_lengths)
        max_length, ratio = self._filters.max_length, self._filters.max_length_ratio
        keep = shorter > 0
        counts = [int(np.sum(~keep))]
        for is_refused in (
            longer > (np.inf if max_length is None else max_length),
            longer > (np.inf if ratio is None else ratio * shorter),
        ):
            counts.append(int(np.sum(keep & is_refused)))
            keep &= ~is_refused
        counts.append(self._drop_duplicates(hashes, keep))
        return keep, FilterReport(len(keep), *counts)

    def _drop_duplicates(self, hashes: NDArray[np.uint64] | None, keep: NDArray[np.bool_]) -> int:
        """Clear duplicates in the mask `keep` in place, and return their number."""
        if not self._filters.deduplicate:
            return 0
        assert hashes is not None
        rows = np.flatnonzero(keep)
        new = self._seen.add(hashes[rows])
        keep[rows] = new
        return int(np.sum(~new))


class SeenHashes:
    """A set of 64-bit hashes in sorted runs, with 8 bytes per hash, or 16 during a merge.

    Each run is more than twice as long as the next. So there are few runs to search, and a hash is
    moved only a few times. The probability of any hash collision among 5 million pairs is 1e-6.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def add(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Insert N hashes; return a mask of the new ones, `[N]` (the first of equal hashes)."""
        unique, first = np.unique(hashes, return_index=True)
        new = ~self.contain(unique)
        self._insert(unique[new])
        mask = np.zeros(len(hashes), np.bool_)
        mask[first[new]] = True
        return mask

    def contain(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return a mask of the hashes in the set, `[N]`."""
        found = np.zeros(len(hashes), np.bool_)
        for run in self._runs:
            nearest = np.minimum(run.searchsorted(hashes), len(run) - 1)
            found |= run[nearest] == hashes
        return found

    def _insert(self, run: NDArray[np.uint64]) -> None:
        if not len(run):
            return
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.concatenate([self._runs.pop(), run])
            run.sort(kind="stable")  # in place, to save memory
        self._runs.append(run)


def hash_pairs(pairs: Sequence[tuple[object, str]]) -> NDArray[np.uint64]:
    """Return the hashes of N pairs, `[N]`, of their text or of the values of a grid."""
    return np.fromiter((_hash_pair(*pair) for pair in pairs), np.uint64, len(pairs))


def _hash_pair(source: object, target: str) -> int:
    # Lines contain no line feed, so this separator distinguishes ("a", "b c") from ("a b", "c").
    first = source.encode() if isinstance(source, str) else bytes(source)  # type: ignore[call-overload]
    digest = hashlib.blake2b(b"%b\n%b" % (first, target.encode()), digest_size=8).digest()
    return int.from_bytes(digest, "little")
