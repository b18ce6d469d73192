"""Grids as a source: pictures as arrays of numbers in an `.npz` file, a vector for each cell."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nmt.data.corpus import Corpus
from nmt.data.lines import open_binary
from nmt.errors import DataError
from nmt.text.reader import EncodedWords, Reader

NUM_POSITIONS: Final = 2
"""Numbers of a cell after its channels: its row and its column, counted from 0."""
_ALL: Final = "grids"
# The last two: a compression that zipfile does not know, and an encrypted member.
_DAMAGES: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)


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

    @property
    def num_cells(self) -> int:
        """Rows times columns."""
        rows, columns, _ = self.values.shape
        return int(rows * columns)


Source: TypeAlias = str | Grid
"""What a model may read."""


def read_grids(path: Path) -> Iterator[Grid]:
    """The grids of an `.npz` file: `arr_0`, `arr_1`, …, or `grids`, `[N rows columns channels]`.

    One array is in memory at a time; `grids` is one. Nothing that is pickled is loaded.

    Raises:
        DataError: it is no such file, or an array is none of finite numbers, or of another shape.
    """
    try:
        with open_binary(path) as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise DataError(f"{path}: one array; grids are read from an .npz file of arrays")
            names = list(arrays.files)
            if names == [_ALL]:
                many = _load(arrays, path, _ALL)
                _check(many, path, _ALL, 4)
                for index in range(len(many)):
                    yield _grid(many[index], path, f"{_ALL}[{index}]")
                return
            expected = [f"arr_{index}" for index in range(len(names))]
            for name in expected:
                if name not in names:
                    raise DataError(
                        f"{path}: array {name} is missing; needed are arr_0, arr_1, … or `{_ALL}`"
                        " alone"
                    )
            for name in expected:
                yield _grid(_load(arrays, path, name), path, name)
    except _DAMAGES as error:
        raise DataError(
            f"{path}: no .npz file of arrays, or a damaged one; write it with numpy.savez"
        ) from error


def _load(arrays: Any, path: Path, name: str) -> NDArray[Any]:
    try:
        array = arrays[name]
        if not isinstance(array, np.ndarray):  # bytes, of what numpy has not written
            raise ValueError("no array")
    except _DAMAGES as error:
        raise DataError(
            f"{path}: array {name}: pickled or damaged, and not loaded; save plain numbers"
        ) from error
    return array


def _check(array: NDArray[Any], path: Path, name: str, num_dimensions: int) -> None:
    if array.dtype.kind not in "fiub":
        raise DataError(f"{path}: array {name}: type {array.dtype}, where numbers are needed")
    if array.ndim != num_dimensions or 0 in array.shape[1:]:
        wanted = "[N rows columns channels]" if num_dimensions == 4 else "[rows columns channels]"
        raise DataError(f"{path}: array {name}: shape {list(array.shape)}, needed is {wanted}")


def _grid(array: NDArray[Any], path: Path, name: str) -> Grid:
    _check(array, path, name, 3)
    if not array.size:
        raise DataError(f"{path}: array {name}: shape {list(array.shape)}, which has no cells")
    with np.errstate(over="ignore"):  # what float32 cannot hold is told as infinite
        values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{path}: array {name}: holds NaN or infinite numbers; mend it")
    return Grid(values, f"{path}: array {name}")


class GridFiles(Corpus[Grid]):
    """An `.npz` file of grids (see `read_grids`) and a file of text, with a line for each grid."""

    item = "grid"
    correspondence = "line n must be the text of grid n"

    def read_sources(self) -> Iterator[Grid]:
        """The grids."""
        return read_grids(self.source)


@dataclass(frozen=True)
class GridReader(Reader[Grid]):
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
    def token_type(self) -> np.dtype[Any]:
        """Of a cell: C channels, row, column."""
        return np.dtype(("<f4", (self.channels + NUM_POSITIONS,)))

    def encode(self, grid: Grid) -> NDArray[np.float32]:
        """The cells, `[S C+2]`.

        Raises:
            DataError: it has other channels than the model, or more rows or columns than it knows.
        """
        rows, columns, channels = grid.values.shape
        if channels != self.channels:
            raise DataError(
                f"{grid.name}: {channels} channels, where model.encoder.channels is {self.channels}"
            )
        for what, size, most in (
            ("rows", rows, self.max_rows),
            ("columns", columns, self.max_columns),
        ):
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
