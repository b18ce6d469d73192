"""Which training pairs are left out, and how many for what reason."""

import hashlib
import operator
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Filters:
    """What is left out; a pair with an empty side always is.

    Attributes:
        max_length: most tokens of each side; None: any number.
        max_length_ratio: most tokens of one side for each token of the other; None: any number.
        deduplicate: of pairs with the same text keep only the first; not for grids.
    """

    max_length: int | None = None
    max_length_ratio: float | None = None
    deduplicate: bool = False


@dataclass(frozen=True)
class FilterReport:
    """How many pairs were read, and left out for each reason (the first that holds, in this order).

    Attributes:
        num_read: pairs in the files.
        num_empty: pairs with a side without tokens.
        num_too_long: pairs with a side longer than the most allowed.
        num_unequal: pairs with a side too long for the other.
        num_duplicates: pairs that came before, in this corpus or in one before it.
    """

    num_read: int = 0
    num_empty: int = 0
    num_too_long: int = 0
    num_unequal: int = 0
    num_duplicates: int = 0

    @property
    def num_kept(self) -> int:
        """Pairs that passed."""
        kept: int = self.num_read - sum(astuple(self)[1:])
        return kept

    def __add__(self, other: "FilterReport") -> "FilterReport":
        return FilterReport(*map(operator.add, astuple(self), astuple(other)))

    def __str__(self) -> str:
        reasons = ("empty", "too long", "too unequal in length", "duplicate")
        counts = zip(astuple(self)[1:], reasons, strict=True)
        left_out = ", ".join([f"{count:,} {reason}" for count, reason in counts if count])
        kept = f"{self.num_kept:,} of {self.num_read:,} pairs kept"
        return f"{kept} ({left_out})" if left_out else kept


class PairFilter:
    """Applies `Filters` to a corpus, block after block; one for each corpus, for it remembers.

    Args:
        filters: what is left out.
        before: the hashes of pairs of other corpora, of which these are duplicates.
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
        """Which of the pairs stay, `[N]`, and the counts.

        Args:
            source_lengths: `[N]`, tokens of each source sentence.
            target_lengths: `[N]`, tokens of each target sentence.
            hashes: `[N]`, of `hash_pairs`; needed where duplicates are to be left out.
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
        """Takes the duplicates out of `keep`, in place, and says how many they were."""
        if not self._filters.deduplicate:
            return 0
        assert hashes is not None
        rows = np.flatnonzero(keep)
        new = self._seen.add(hashes[rows])
        keep[rows] = new
        return int(np.sum(~new))


class SeenHashes:
    """A set of 64-bit numbers at 8 bytes each, 16 while they are merged: sorted runs.

    Each run is more than twice as long as the next, so there are few to search, and a number is
    moved few times. Among 5 million pairs, two that differ share a hash with a chance of 1e-6.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def add(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Put numbers in, `[N]`; `[N]`: which were not there yet (of equals, only the first)."""
        unique, first = np.unique(hashes, return_index=True)
        new = ~self.contain(unique)
        self._insert(unique[new])
        mask = np.zeros(len(hashes), np.bool_)
        mask[first[new]] = True
        return mask

    def contain(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return which of the numbers are there, `[N]`."""
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
            run.sort(kind="stable")  # in place, as there may be much of it
        self._runs.append(run)


def hash_pairs(pairs: Sequence[tuple[object, str]]) -> NDArray[np.uint64]:
    """Return hashes of N pairs, `[N]`, by their text or by the values of a grid."""
    return np.fromiter((_hash_pair(*pair) for pair in pairs), np.uint64, len(pairs))


def _hash_pair(source: object, target: str) -> int:
    # No line holds a line feed, so it keeps ("a", "b c") and ("a b", "c") apart whatever they hold.
    first = source.encode() if isinstance(source, str) else bytes(source)  # type: ignore[call-overload]
    digest = hashlib.blake2b(b"%b\n%b" % (first, target.encode()), digest_size=8).digest()
    return int.from_bytes(digest, "little")
