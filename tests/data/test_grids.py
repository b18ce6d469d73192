"""Grids are read one by one, and each bad one is named."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from nmt.data.grids import Grid, GridTokenizer, read_grids
from nmt.errors import DataError


def test_arrays_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    arrays = [np.full((1 + n % 2, 2, 3), n) for n in range(12)]
    np.savez(tmp_path / "a.npz", *arrays)
    read = [grid.values for grid in read_grids(tmp_path / "a.npz")]
    assert [int(values[0, 0, 0]) for values in read] == list(range(12))
    assert {values.dtype for values in read} == {np.dtype(np.float32)}
    assert [values.shape for values in read] == [array.shape for array in arrays]


def test_one_array_holds_many_grids(tmp_path: Path) -> None:
    many = np.arange(24).reshape(2, 2, 2, 3)
    np.savez(tmp_path / "a.npz", grids=many)
    assert np.array_equal([grid.values for grid in read_grids(tmp_path / "a.npz")], many)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((2, 2, 3), np.nan), "array arr_1: holds NaN"),
        (np.full((2, 2, 3), 1e300), "array arr_1: holds NaN or infinite"),
        (np.zeros((2, 2)), r"array arr_1: shape \[2, 2\], needed is \[rows columns channels\]"),
        (np.full((2, 2, 3), "a"), "array arr_1: type <U1, where numbers are needed"),
        (np.full((2, 2, 3), 1j), "array arr_1: type complex128"),
        (np.full((2, 2, 3), None), "array arr_1: pickled or damaged, and not loaded"),
        (np.zeros((0, 2, 3)), "array arr_1: .*no cells"),
    ],
)
def test_a_bad_array_is_named(tmp_path: Path, array: object, message: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, np.zeros((2, 2, 3)), np.asarray(array))
    with pytest.raises(DataError, match=f"^{path}: {message}"):
        list(read_grids(path))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for content in (b"some text", b"", b"PK\x03\x04 cut short", pickle.dumps([1])):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"no \.npz file of arrays, or a damaged one"):
            list(read_grids(path))
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="one array; grids are read"):
        list(read_grids(path))
    np.savez(path, other=np.zeros((2, 2, 3)))
    with pytest.raises(DataError, match="array arr_0 is missing"):
        list(read_grids(path))


def test_cells_are_channels_row_and_column() -> None:
    grid = Grid(np.arange(6, dtype=np.float32).reshape(1, 3, 2), "g")
    encoded = GridTokenizer(2, 4, 4).encode_words(grid)
    assert encoded.ids.tolist() == [[0, 1, 0, 0], [2, 3, 0, 1], [4, 5, 0, 2]]
    assert encoded.words == ["1,1", "1,2", "1,3"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 2, 3), "g: 3 channels, where model.encoder.channels is 2"), ((5, 2, 2), "g: 5 rows")],
)
def test_a_grid_that_the_model_cannot_read(shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        GridTokenizer(2, 4, 4).encode(Grid(np.zeros(shape, np.float32), "g"))


def test_the_tokenizer_pickles() -> None:
    tokenizer = GridTokenizer(2, 4, 5)
    assert pickle.loads(pickle.dumps(tokenizer)).fingerprint() == tokenizer.fingerprint()
