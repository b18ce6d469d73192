"""Grids as sources: pictures as arrays in an `.npz` file, with one vector per cell."""

import hashlib
import math
import random
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, Final, TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nmt.core.errors import DataError
from nmt.data.formats.corpus import Corpus, zip_lines
from nmt.data.formats.lines import open_binary, read_lines, require_regular
from nmt.text.reader import EncodedWords, SourceReader

_NUM_DIMENSIONS: Final = 3
# Number of coordinates after the channels of a cell: row and column, from 0.
NUM_POSITIONS: Final = 2
_ALL: Final = "grids"
_MAX_GRID_BYTES: Final = 2**26  # in memory at a time
_HEADERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True, eq=False)
class Grid:
    """A grid of numbers, as a source instead of a line of text.

    Attributes:
        values: `[rows columns channels]`, float32, finite.
        name: file and array, for messages.
    """

    values: NDArray[np.float32]
    name: str

    def __len__(self) -> int:
        return self.values.size

    def __str__(self) -> str:
        return self.name

    def __bytes__(self) -> bytes:
        return str(self.values.shape).encode() + self.values.tobytes()

    @property
    def num_cells(self) -> int:
        """Return the number of cells: rows times columns."""
        rows, columns, _ = self.values.shape
        return int(rows * columns)


# Source types of a model.
Source: TypeAlias = str | Grid


def read_grids(path: Path) -> Iterator[Grid]:
    """Read the grids of an `.npz` file, one at a time.

    The file holds arrays `arr_0`, `arr_1`, … of shape `[rows columns channels]`, or a single array
    `grids` of shape `[N rows columns channels]`. Pickled data is never loaded.

    Raises:
        DataError: the file is not of this format, or an array has a non-finite number or a wrong
            shape.
    """
    require_regular(path)
    message = f"{path}: not a valid .npz file; write it with numpy.savez"
    with _reporting_damage(message), open_binary(path) as file:
        if file.peek(len(npy.MAGIC_PREFIX)).startswith(npy.MAGIC_PREFIX):
            raise DataError(f"{path}: a single array (.npy); write an .npz file with numpy.savez")
        with zipfile.ZipFile(file) as archive:
            yield from _read_all(archive, path)


@contextmanager
def _reporting_damage(message: str) -> Iterator[None]:
    """Convert all exceptions to a `DataError`: zipfile and NumPy raise a dozen types."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(message) from error


def _read_all(archive: zipfile.ZipFile, path: Path) -> Iterator[Grid]:
    found = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if list(found) == [_ALL]:
        yield from _read_array(archive, found[_ALL], path, _ALL, 4)
        return
    expected = [f"arr_{index}" for index in range(len(found))]
    for name in expected:
        if name not in found:
            raise DataError(
                f"{path}: array {name} is missing; name arrays arr_0, arr_1, …, or one `{_ALL}`"
            )
    for name in expected:
        yield from _read_array(archive, found[name], path, name, _NUM_DIMENSIONS)


def _read_array(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, name: str, num_dimensions: int
) -> Iterator[Grid]:
    """Read the grids of an array that must have `num_dimensions` dimensions."""
    message = f"{path}: array {name}: pickled or corrupted, so it is not loaded; save plain numbers"
    with _reporting_damage(message):
        # Only compressions that NumPy writes: an LZMA decoder allocates what the file demands.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("compression that numpy does not use")
        with archive.open(info) as stream:
            array = _StoredArray(stream, info.file_size)
            _check(array, path, name, num_dimensions)
            for index, values in enumerate(array.grids()):
                place = name if num_dimensions == _NUM_DIMENSIONS else f"{name}[{index}]"
                yield _grid(values, path, place)


class _StoredArray:
    """An array in an `.npz` file; only its header is read at first.

    NumPy's reader allocates memory for the declared shape before it reads the values, and a tiny
    file can declare terabytes.

    Args:
        stream: the `.npy` member, at its start.
        size: size of the member in bytes.

    Raises:
        ValueError: the header is invalid, declares Python objects, or does not match the size.
    """

    def __init__(self, stream: IO[bytes], size: int) -> None:
        version = npy.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError("another version of the format")
        self.shape, self.is_fortran, self.dtype = _HEADERS[version](stream)
        if self.dtype.hasobject:
            raise ValueError("Python objects")
        declared = math.prod(self.shape) * self.dtype.itemsize
        if min(self.shape, default=0) < 0 or stream.tell() + declared != size:
            raise ValueError("its size differs from its header")
        self.grid_bytes = math.prod(self.shape[-_NUM_DIMENSIONS:]) * self.dtype.itemsize
        self._stream = stream

    def grids(self) -> Iterator[NDArray[Any]]:
        """Read the array as grids, which are its last three dimensions.

        Raises:
            ValueError: the data is truncated or too long.
        """
        shape = self.shape[-_NUM_DIMENSIONS:]
        for _ in range(math.prod(self.shape[:-_NUM_DIMENSIONS])):
            content = self._stream.read(self.grid_bytes)
            if len(content) < self.grid_bytes:
                raise ValueError("truncated")
            row = np.frombuffer(content, self.dtype)
            yield row.reshape(shape, order="F" if self.is_fortran else "C")
        if self._stream.read(1):  # reading to the end verifies the checksum
            raise ValueError("longer than its header says")


def _check(array: _StoredArray, path: Path, name: str, num_dimensions: int) -> None:
    shape = list(array.shape)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{path}: array {name}: must hold numbers, not {array.dtype}")
    if len(shape) != num_dimensions or 0 in array.shape[1:]:
        wanted = "[rows columns channels]"
        wanted = wanted if num_dimensions == _NUM_DIMENSIONS else f"[N {wanted[1:]}"
        raise DataError(f"{path}: array {name}: must have shape {wanted}, not {shape}")
    if num_dimensions == _NUM_DIMENSIONS and 0 in array.shape:
        raise DataError(f"{path}: array {name}: has no cells (shape {shape}); give at least one")
    if array.grid_bytes > _MAX_GRID_BYTES:
        raise DataError(
            f"{path}: array {name}: grids of shape {shape} exceed the limit of {_MAX_GRID_BYTES:,} "
            "bytes; make them smaller"
        )
    if array.is_fortran and num_dimensions > _NUM_DIMENSIONS:
        raise DataError(
            f"{path}: array {name}: is in Fortran order; save numpy.ascontiguousarray of it"
        )


def _grid(array: NDArray[Any], path: Path, name: str) -> Grid:
    with np.errstate(over="ignore"):  # an overflow of float32 is reported as infinite below
        values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{path}: array {name}: has NaN or infinite values; replace them")
    return Grid(values, f"{path}: array {name}")


@dataclass(frozen=True, kw_only=True)
class GridCorpus(Corpus[Grid]):
    """An `.npz` file of grids (see `read_grids`) and a text file with one line per grid.

    Args:
        grids: An .npz file with one grid per target line, instead of source.
        target: File of target sentences, line for line.
    """

    reads = "grids"

    grids: Path
    target: Path

    def read(self) -> Iterator[tuple[Grid, str]]:
        """Read the pairs in order; there must be a line for each grid."""
        return zip_lines(
            read_grids(self.grids),
            read_lines(self.target, max_line_bytes=self.max_line_bytes),
            lambda num_grids, num_lines: (
                f"{self.grids} has {num_grids:,} grids, {self.target} has {num_lines:,} lines: "
                "line n must be the text of grid n"
            ),
        )


@dataclass(frozen=True)
class GridReader(SourceReader[Grid]):
    """Reader of grids; tokens are cells in row-major order: channels, row and column from 0.

    Attributes:
        channels: number C of channels.
        max_rows: maximum number of rows of a grid.
        max_columns: maximum number of columns of a grid.
    """

    item_type: ClassVar[type] = Grid
    channels: int
    max_rows: int
    max_columns: int

    def __len__(self) -> int:
        return self.channels

    @property
    def token_dtype(self) -> np.dtype[Any]:
        """Return the dtype of a cell: C channels, row, column."""
        return np.dtype(("<f4", (self.channels + NUM_POSITIONS,)))

    def encode(self, grid: Grid, rng: random.Random | None = None) -> NDArray[np.float32]:
        """Return the cells, `[S C+2]`.

        Raises:
            DataError: the number of channels differs from the model's, or the grid has too many
                rows or columns.
        """
        rows, columns, channels = grid.values.shape
        if channels != self.channels:
            raise DataError(
                f"{grid.name}: {channels} channels, but model.encoder.channels is {self.channels}"
            )
        bounds = (("rows", rows, self.max_rows), ("columns", columns, self.max_columns))
        for what, size, most in bounds:
            if size > most:
                raise DataError(
                    f"{grid.name}: {size} {what}, but model.encoder.max_{what} is {most}"
                )
        places = np.indices((rows, columns), np.float32).reshape(NUM_POSITIONS, -1).T
        return np.concatenate([grid.values.reshape(-1, channels), places], axis=1)

    def encode_words(self, grid: Grid) -> EncodedWords:
        """Return the cells, each as a word named `row,column`, from 1."""
        cells = self.encode(grid)
        words = [f"{int(row) + 1},{int(column) + 1}" for row, column in cells[:, -NUM_POSITIONS:]]
        return EncodedWords(cells, words, list(range(len(cells))))

    def fingerprint(self) -> str:
        """Return a SHA-256 of the channels; the limits do not change the encoding of a grid."""
        return hashlib.sha256(f"grid {self.channels}".encode()).hexdigest()
