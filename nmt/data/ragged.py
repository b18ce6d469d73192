"""Rows of unequal length in one flat array: how tokens and text are kept, in memory and on disk."""

from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nmt.system.files import open_regular

_OFFSET_DTYPE = np.dtype("<i8")


@dataclass(frozen=True)
class RaggedArray:
    """N rows, laid end to end.

    Attributes:
        values: `[sum of the lengths]`, or `[sum of the lengths, D]` where the values are vectors.
        offsets: `[N+1]`, int64; row i is ``values[offsets[i] : offsets[i + 1]]``.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    @classmethod
    def from_rows(
        cls, rows: Sequence[Sequence[int] | NDArray[Any]], dtype: DTypeLike = np.int64
    ) -> "RaggedArray":
        """Rows of numbers, as `dtype`; or of vectors, `[S D]` each, as they are."""
        offsets = _offsets_of(rows)
        vectors = [row for row in rows if isinstance(row, np.ndarray) and row.ndim > 1]
        if vectors:
            return cls(np.concatenate(vectors), offsets)
        return cls(np.fromiter(chain.from_iterable(rows), dtype, offsets[-1]), offsets)

    @classmethod
    def from_texts(cls, rows: Sequence[str]) -> "RaggedArray":
        """Rows of text as the bytes of its UTF-8."""
        encoded = [row.encode() for row in rows]
        return cls(np.frombuffer(b"".join(encoded), np.uint8), _offsets_of(encoded))

    @classmethod
    def concatenate(cls, parts: Sequence["RaggedArray"]) -> "RaggedArray":
        """The rows of all the parts, in order."""
        if len(parts) == 1:
            return parts[0]
        lengths = np.concatenate([part.lengths for part in parts])
        return cls(np.concatenate([part.values for part in parts]), _offsets(lengths))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        assert 0 <= row < len(self)
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of one value; of vectors, an array type."""
        return np.dtype((self.values.dtype, self.values.shape[1:]))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Of the rows, `[N]`."""
        return np.diff(self.offsets)

    def count(self, rows: NDArray[np.int64]) -> int:
        """Values in some rows together; only the offsets are read."""
        return int((self.offsets[rows + 1] - self.offsets[rows]).sum())

    def select(self, rows: NDArray[np.int64]) -> "RaggedArray":
        """A copy of some rows, in the order given: `[M]`, each from 0 to N - 1."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        offsets = _offsets(lengths)
        positions = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        return RaggedArray(self.values[positions], offsets)


class RaggedWriter:
    """Writes a `RaggedArray` to disk, some rows at a time.

    Args:
        values: a file for the values, opened for writing and reading.
        offsets: a file for the offsets.
        dtype: of the values.
    """

    def __init__(self, values: IO[bytes], offsets: IO[bytes], dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._values = values
        self._offsets = offsets
        self._end = 0
        self._offsets.write(np.zeros(1, _OFFSET_DTYPE).tobytes())

    def append(self, rows: RaggedArray) -> None:
        """Add rows at the end."""
        offsets = rows.offsets[1:] + self._end
        self._values.write(rows.values.astype(self._dtype.base, copy=False).tobytes())
        self._offsets.write(offsets.astype(_OFFSET_DTYPE, copy=False).tobytes())
        self._end += int(rows.offsets[-1])

    def mapped(self) -> RaggedArray:
        """What was written, mapped into memory; stays so when the files are closed."""
        self._values.flush()
        self._offsets.flush()
        return RaggedArray(_map(self._values, self._dtype), _map(self._offsets, _OFFSET_DTYPE))


@contextmanager
def create_ragged(folder: Path, name: str, dtype: DTypeLike) -> Iterator[RaggedWriter]:
    """Two new files in a folder, to be written; `open_ragged` reads them."""
    values, offsets = _paths(folder, name)
    with values.open("wb+") as value_file, offsets.open("wb+") as offset_file:
        yield RaggedWriter(value_file, offset_file, dtype)


@contextmanager
def temporary_ragged(folder: Path, dtype: DTypeLike) -> Iterator[RaggedWriter]:
    """Two files without a name, on the disk of a folder; gone when nobody has them mapped."""
    with TemporaryFile(dir=folder) as values, TemporaryFile(dir=folder) as offsets:
        yield RaggedWriter(values, offsets, dtype)


def open_ragged(folder: Path, name: str, dtype: DTypeLike) -> RaggedArray:
    """Map files of `create_ragged` into memory: only what is looked at is read.

    Raises:
        OSError: a file cannot be opened, or is not a regular file.
        ValueError: its size is not a whole number of values, or there are no offsets.
    """
    values, offsets = _paths(folder, name)
    with open_regular(values) as value_file, open_regular(offsets) as offset_file:
        found = RaggedArray(_map(value_file, np.dtype(dtype)), _map(offset_file, _OFFSET_DTYPE))
    if not len(found.offsets):
        raise ValueError(f"{offsets}: is empty")
    return found


def compact_lengths(parts: Sequence[RaggedArray]) -> NDArray[np.unsignedinteger[Any]]:
    """Lengths of the rows of all the parts, `[N]`, in the smallest type that holds them."""
    lengths = (part.lengths for part in parts)
    # One part after the other, as each takes 8 bytes a row meanwhile.
    return np.concatenate(
        [each.astype(np.min_scalar_type(each.max(initial=0))) for each in lengths]
    )


def blocks(number: int, size: int) -> Iterator[slice]:
    """Yield where blocks of so many rows lie, of which the last may be smaller."""
    for start in range(0, number, size):
        yield slice(start, min(start + size, number))


def _paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.values", folder / f"{name}.offsets"


def _map(file: IO[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
    if file.seek(0, SEEK_END) == 0:  # which cannot be mapped
        return np.empty(0, dtype)
    # A plain view of the map: indexing is several times faster than through np.memmap.
    return np.asarray(np.memmap(file, dtype, mode="r"))


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _offsets_of(rows: Sequence[Sized]) -> NDArray[np.int64]:
    return _offsets(np.fromiter(map(len, rows), np.int64, len(rows)))
