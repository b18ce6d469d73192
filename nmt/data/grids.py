"""Grids as a source: pictures as arrays of numbers in an `.npz` file, a vector for each cell."""

import hashlib
import json
import random
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from nmt.data.corpus import open_binary
from nmt.errors import DataError
from nmt.text.normalization import Normalizer
from nmt.text.tokenizer import EncodedWords, Options, Tokenizer

NUM_POSITIONS: Final = 2
"""Numbers of a cell after its channels: its row and its column, counted from 0."""
_ALL: Final = "grids"


@dataclass(frozen=True, eq=False)
class Grid:
    """One grid; it stands where a line of source text does.

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

    def isspace(self) -> bool:
        """Never blank, as text may be."""
        return False


def read_grids(path: Path) -> Iterator[Any]:
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
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise DataError(
            f"{path}: no .npz file of arrays, or a damaged one; write it with numpy.savez"
        ) from error


def _load(arrays: Any, path: Path, name: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = arrays[name]
    except (ValueError, zipfile.BadZipFile, OSError) as error:
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


class GridTokenizer(Tokenizer):
    """Stands where the source's tokenizer does: the "tokens" of a grid are its cells, row by row.

    Args:
        channels: C, numbers of a cell.
        max_rows: most rows.
        max_columns: most columns.
    """

    name: ClassVar[str] = "grid"
    samples = False

    def __init__(self, channels: int, max_rows: int, max_columns: int) -> None:
        super().__init__(Normalizer())
        self._channels = channels
        self._most = (max_rows, max_columns)

    def __len__(self) -> int:
        return self._channels

    def __reduce__(self) -> tuple[object, ...]:
        return GridTokenizer, (self._channels, *self._most)

    @property
    def token_type(self) -> np.dtype[Any]:
        """Of one cell: C channels, row, column."""
        return np.dtype(("<f4", (self._channels + NUM_POSITIONS,)))

    def encode(self, text: Any) -> Any:
        """A grid as `[S C+2]`: the channels of each cell, its row and its column.

        Raises:
            DataError: it has other channels than the model, or more rows or columns than it knows.
        """
        rows, columns, channels = text.values.shape
        if channels != self._channels:
            raise DataError(
                f"{text.name}: {channels} channels, where model.encoder.channels is "
                f"{self._channels}"
            )
        for size, most, what in zip((rows, columns), self._most, ("rows", "columns"), strict=True):
            if size > most:
                raise DataError(
                    f"{text.name}: {size} {what}, where model.encoder.max_{what} is {most}"
                )
        places = np.indices((rows, columns), np.float32).reshape(2, -1).T
        return np.concatenate([text.values.reshape(-1, channels), places], axis=1)

    def encode_sampled(self, text: Any, rng: random.Random) -> Any:
        """The same: nothing is sampled."""
        return self.encode(text)

    def encode_words(self, text: Any) -> EncodedWords:
        """The cells as words, named `row,column`, counted from 1."""
        cells = self.encode(text)
        words = [f"{int(row) + 1},{int(column) + 1}" for row, column in cells[:, -2:]]
        return EncodedWords(cells, words, list(range(len(cells))))

    @classmethod
    def restore(cls, normalizer: Normalizer, model: bytes, options: Options) -> Self:
        """Not needed: the configuration says all."""
        raise NotImplementedError

    def decode(self, ids: Sequence[int]) -> str:
        """No model writes grids."""
        raise NotImplementedError

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """No model writes grids."""
        raise NotImplementedError

    def _model(self) -> bytes:
        raise NotImplementedError

    def _encode_word(self, word: str) -> list[int]:
        raise NotImplementedError

    def _join(self, ids: Sequence[int]) -> str:
        raise NotImplementedError

    def _starts_word(self, ids: Sequence[int], position: int) -> bool:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Write what it expects, to look at: the configuration says it all again."""
        folder.mkdir(parents=True)
        facts = {
            "channels": self._channels,
            "max_rows": self._most[0],
            "max_columns": self._most[1],
        }
        (folder / "grid.json").write_text(json.dumps(facts) + "\n")

    def fingerprint(self) -> str:
        """Of all that changes the cells."""
        settings = f"grid {self._channels} {self._most}"
        return hashlib.sha256(settings.encode()).hexdigest()
