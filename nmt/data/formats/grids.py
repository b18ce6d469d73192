"""Grids as a source: pictures as arrays of numbers in an `.npz` file, a vector for each cell."""

import hashlib
import random
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np
from numpy.lib.format import MAGIC_PREFIX
from numpy.typing import NDArray

from nmt.core.errors import DataError
from nmt.data.formats.corpus import Corpus
from nmt.data.formats.npz import MAX_ROW_BYTES, StoredArray, members, open_array
from nmt.data.formats.raw_lines import open_binary, require_regular
from nmt.text.reader import EncodedWords, SourceReader

_NUM_DIMENSIONS: Final = 3
NUM_POSITIONS: Final = 2
"""Numbers of a cell after its channels: its row and its column, counted from 0."""
_ALL: Final = "grids"


@dataclass(frozen=True, eq=False)
class Grid:
    """One grid: what a source is in place of a line of text.

    Attributes:
        values: `[rows columns channels]`, float32, all finite.
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
        """Rows times columns."""
        rows, columns, _ = self.values.shape
        return int(rows * columns)


Source: TypeAlias = str | Grid
"""What a model may read."""


def read_grids(path: Path) -> Iterator[Grid]:
    """The grids of an `.npz` file: `arr_0`, `arr_1`, …, or `grids`, `[N rows columns channels]`.

    One grid is in memory at a time. Nothing that is pickled is loaded.

    Raises:
        DataError: it is no such file, or an array is none of finite numbers, or of another shape.
    """
    require_regular(path)
    message = f"{path}: no .npz file of arrays, or a damaged one; write it with numpy.savez"
    with _reporting_damage(message), open_binary(path) as file:
        if file.peek(len(MAGIC_PREFIX)).startswith(MAGIC_PREFIX):
            raise DataError(f"{path}: one array; grids are read from an .npz file of arrays")
        with zipfile.ZipFile(file) as archive:
            yield from _read_all(archive, path)


@contextmanager
def _reporting_damage(message: str) -> Iterator[None]:
    """Say so where a file is damaged: zipfile and NumPy raise a dozen types of exceptions."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(message) from error


def _read_all(archive: zipfile.ZipFile, path: Path) -> Iterator[Grid]:
    found = members(archive)
    if list(found) == [_ALL]:
        yield from _read_array(archive, found[_ALL], path, _ALL, 4)
        return
    expected = [f"arr_{index}" for index in range(len(found))]
    for name in expected:
        if name not in found:
            raise DataError(
                f"{path}: array {name} is missing; needed are arr_0, arr_1, … or only `{_ALL}`"
            )
    for name in expected:
        yield from _read_array(archive, found[name], path, name, _NUM_DIMENSIONS)


def _read_array(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, name: str, num_dimensions: int
) -> Iterator[Grid]:
    """Read the grid, or the grids, of an array that must have so many dimensions."""
    message = f"{path}: array {name}: pickled or damaged, and not loaded; save plain numbers"
    with _reporting_damage(message), open_array(archive, info) as array:
        _check(array, path, name, num_dimensions)
        for index, values in enumerate(array.rows(_NUM_DIMENSIONS)):
            place = name if num_dimensions == _NUM_DIMENSIONS else f"{name}[{index}]"
            yield _grid(values, path, place)


def _check(array: StoredArray, path: Path, name: str, num_dimensions: int) -> None:
    shape = list(array.shape)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{path}: array {name}: type {array.dtype}, where numbers are needed")
    if array.ndim != num_dimensions or 0 in array.shape[1:]:
        wanted = "[rows columns channels]"
        wanted = wanted if num_dimensions == _NUM_DIMENSIONS else f"[N {wanted[1:]}"
        raise DataError(f"{path}: array {name}: shape {shape}, needed is {wanted}")
    if num_dimensions == _NUM_DIMENSIONS and 0 in array.shape:
        raise DataError(f"{path}: array {name}: shape {shape}, which has no cells")
    if array.row_bytes(_NUM_DIMENSIONS) > MAX_ROW_BYTES:
        raise DataError(
            f"{path}: array {name}: shape {shape} has grids of more than {MAX_ROW_BYTES:,} bytes, "
            "the limit; make them smaller"
        )
    if array.is_fortran and num_dimensions > _NUM_DIMENSIONS:
        raise DataError(
            f"{path}: array {name}: is in Fortran order; save numpy.ascontiguousarray of it"
        )


def _grid(array: NDArray[Any], path: Path, name: str) -> Grid:
    with np.errstate(over="ignore"):  # what float32 cannot hold is told as infinite
        values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{path}: array {name}: holds NaN or infinite numbers; mend it")
    return Grid(values, f"{path}: array {name}")


class GridCorpus(Corpus[Grid]):
    """An `.npz` file of grids (see `read_grids`) and a file of text, with a line for each grid."""

    item = "grid"
    correspondence = "line n must be the text of grid n"

    def read_sources(self) -> Iterator[Grid]:
        """The grids."""
        return read_grids(self.source)


@dataclass(frozen=True)
class GridReader(SourceReader[Grid]):
    """The tokens of a grid are its cells, row by row: channels, row and column, counted from 0.

    Attributes:
        channels: C, numbers of a cell.
        max_rows: most rows of a grid.
        max_columns: most columns of a grid.
    """

    item_type: ClassVar[type] = Grid
    channels: int
    max_rows: int
    max_columns: int

    def __len__(self) -> int:
        return self.channels

    @property
    def token_dtype(self) -> np.dtype[Any]:
        """Of a cell: C channels, row, column."""
        return np.dtype(("<f4", (self.channels + NUM_POSITIONS,)))

    def encode(self, grid: Grid, rng: random.Random | None = None) -> NDArray[np.float32]:
        """The cells, `[S C+2]`.

        Raises:
            DataError: it has other channels than the model, or more rows or columns than it knows.
        """
        rows, columns, channels = grid.values.shape
        if channels != self.channels:
            raise DataError(
                f"{grid.name}: {channels} channels, where model.encoder.channels is {self.channels}"
            )
        bounds = (("rows", rows, self.max_rows), ("columns", columns, self.max_columns))
        for what, size, most in bounds:
            if size > most:
                raise DataError(
                    f"{grid.name}: {size} {what}, where model.encoder.max_{what} is {most}"
                )
        places = np.indices((rows, columns), np.float32).reshape(NUM_POSITIONS, -1).T
        return np.concatenate([grid.values.reshape(-1, channels), places], axis=1)

    def encode_words(self, grid: Grid) -> EncodedWords:
        """The cells, each a word of its own, named `row,column`, counted from 1."""
        cells = self.encode(grid)
        words = [f"{int(row) + 1},{int(column) + 1}" for row, column in cells[:, -NUM_POSITIONS:]]
        return EncodedWords(cells, words, list(range(len(cells))))

    def fingerprint(self) -> str:
        """SHA-256 of what changes cells: the bounds only refuse grids."""
        return hashlib.sha256(f"grid {self.channels}".encode()).hexdigest()
