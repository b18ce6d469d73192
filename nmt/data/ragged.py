"""Ragged arrays: rows of different lengths in one flat array, in memory and on disk."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nmt.core.batch import flatten
from nmt.system.files import open_regular

_OFFSET_DTYPE = np.dtype("<i8")


@dataclass(frozen=True)
class RaggedArray:
    """N concatenated rows.

    Attributes:
        values: `[sum of the lengths]`, or `[sum of the lengths, D]` if the values are vectors.
        offsets: `[N+1]`, int64; row i is ``values[offsets[i] : offsets[i + 1]]``.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    @classmethod
    def from_rows(
        cls, rows: Sequence[Sequence[int] | NDArray[Any]], dtype: DTypeLike = np.int64
    ) -> "RaggedArray":
        """Build from rows of numbers, converted to `dtype`, or of vectors, `[S D]`, kept as is."""
        values, lengths = flatten(rows, dtype)
        return cls(values, _offsets(lengths))

    @classmethod
    def from_texts(cls, rows: Sequence[str]) -> "RaggedArray":
        """Build from rows of text, as UTF-8 bytes."""
        encoded = [row.encode() for row in rows]
        lengths = np.fromiter(map(len, encoded), np.int64, len(rows))
        return cls(np.frombuffer(b"".join(encoded), np.uint8), _offsets(lengths))

    @classmethod
    def concatenate(cls, parts: Sequence["RaggedArray"]) -> "RaggedArray":
        """Concatenate the rows of all parts, in order."""
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
        """Return the dtype of one value; for vectors, a subarray dtype."""
        return np.dtype((self.values.dtype, self.values.shape[1:]))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Return the lengths of the rows, `[N]`."""
        return np.diff(self.offsets)

    def count(self, rows: NDArray[np.int64]) -> int:
        """Return the total number of values in some rows; reads only the offsets."""
        return int((self.offsets[rows + 1] - self.offsets[rows]).sum())

    def select(self, rows: NDArray[np.int64]) -> "RaggedArray":
        """Return a copy of `rows`, `[M]`, in the given order; indices are from 0 to N - 1."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        offsets = _offsets(lengths)
        positions = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        return RaggedArray(self.values[positions], offsets)


class RaggedWriter:
    """Incremental writer of a `RaggedArray` to disk.

    Args:
        values: a file for the values, opened for writing and reading.
        offsets: a file for the offsets, opened for writing and reading.
        dtype: the dtype of the values.
    """

    def __init__(self, values: IO[bytes], offsets: IO[bytes], dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._values = values
        self._offsets = offsets
        self._end = 0
        self._offsets.write(np.zeros(1, _OFFSET_DTYPE).tobytes())

    def append(self, rows: RaggedArray) -> None:
        """Append rows."""
        offsets = rows.offsets[1:] + self._end
        self._values.write(rows.values.astype(self._dtype.base, copy=False).tobytes())
        self._offsets.write(offsets.astype(_OFFSET_DTYPE, copy=False).tobytes())
        self._end += int(rows.offsets[-1])

    def mapped(self) -> RaggedArray:
        """Map the written rows into memory; the map stays valid after the files are closed."""
        self._values.flush()
        self._offsets.flush()
        return RaggedArray(_map(self._values, self._dtype), _map(self._offsets, _OFFSET_DTYPE))


@contextmanager
def create_ragged(folder: Path, name: str, dtype: DTypeLike) -> Iterator[RaggedWriter]:
    """Create two files in a folder, for `open_ragged`, and yield their writer."""
    values, offsets = _paths(folder, name)
    with values.open("wb+") as value_file, offsets.open("wb+") as offset_file:
        yield RaggedWriter(value_file, offset_file, dtype)


@contextmanager
def temporary_ragged(folder: Path, dtype: DTypeLike) -> Iterator[RaggedWriter]:
    """Create two unnamed files on the disk of a folder, deleted when they are no longer mapped."""
    with TemporaryFile(dir=folder) as values, TemporaryFile(dir=folder) as offsets:
        yield RaggedWriter(values, offsets, dtype)


def open_ragged(folder: Path, name: str, dtype: DTypeLike) -> RaggedArray:
    """Map files of `create_ragged` into memory, without reading them.

    Raises:
        OSError: a file cannot be opened, or is not a regular file.
        ValueError: a file's size is not a whole number of values, or there are no offsets.
    """
    values, offsets = _paths(folder, name)
    with open_regular(values) as value_file, open_regular(offsets) as offset_file:
        found = RaggedArray(_map(value_file, np.dtype(dtype)), _map(offset_file, _OFFSET_DTYPE))
    if not len(found.offsets):
        raise ValueError(f"{offsets}: is empty")
    return found


def compact_lengths(parts: Sequence[RaggedArray]) -> NDArray[np.unsignedinteger[Any]]:
    """Return the row lengths of all parts, `[N]`, in the smallest sufficient dtype."""
    lengths = (part.lengths for part in parts)
    # One part at a time, because each takes 8 bytes per row before conversion.
    return np.concatenate(
        [each.astype(np.min_scalar_type(each.max(initial=0))) for each in lengths]
    )


def blocks(number: int, size: int) -> Iterator[slice]:
    """Yield slices of `number` rows in blocks of `size`; the last may be smaller."""
    for start in range(0, number, size):
        yield slice(start, min(start + size, number))


def _paths(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.values", folder / f"{name}.offsets"


def _map(file: IO[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
    if file.seek(0, SEEK_END) == 0:  # empty files cannot be mapped
        return np.empty(0, dtype)
    # A plain array view, because indexing np.memmap is several times slower.
    return np.asarray(np.memmap(file, dtype, mode="r"))


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
