"""Grids are read one by one, and each bad one is named."""

import os
import pickle
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nmt.core.batch import make_batch, make_source
from nmt.core.errors import DataError
from nmt.data.cache import encode_corpus
from nmt.data.filters import Filters
from nmt.data.formats.grids import Grid, GridCorpus, GridReader, read_grids
from nmt.text.reader import count_tokens


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
        (np.full((2, 2, 3), np.nan), "array arr_1: has NaN"),
        (np.full((2, 2, 3), 1e300), "array arr_1: has NaN or infinite values"),
        (np.zeros((2, 2)), r"array arr_1: must have shape \[rows columns channels\], not \[2, 2\]"),
        (np.full((2, 2, 3), "a"), "array arr_1: must hold numbers, not <U1"),
        (np.full((2, 2, 3), 1j), "array arr_1: must hold numbers, not complex128"),
        (np.full((2, 2, 3), None), "array arr_1: pickled or corrupted, so it is not loaded"),
        (np.zeros((0, 2, 3)), "array arr_1: has no cells \\(shape .*; give at least one"),
    ],
)
def test_a_bad_array_is_named(tmp_path: Path, array: object, message: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, np.zeros((2, 2, 3)), np.asarray(array))
    with pytest.raises(DataError, match=f"^{path}: {message}"):
        list(read_grids(path))


def test_an_array_that_numpy_has_not_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("arr_0.npy", "some text")
    with pytest.raises(DataError, match=f"^{path}: array arr_0: pickled or corrupted"):
        list(read_grids(path))


def write_member(path: Path, header: str, body: bytes = b"", **options: Any) -> None:
    """An `.npz` file with one array that says of itself what `header` says."""
    text = header.encode().ljust(118) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("arr_0.npy", content)


SIZES = "'fortran_order': False, 'shape': (1000000, 1000000, 3)"


@pytest.mark.parametrize(
    "header",
    [
        f"{{'descr': '<f8', {SIZES}}}",
        f"{{'descr': '|O', {SIZES}}}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 1, 1)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1.0, 1, 1)}",
        "{'descr': '<f8', 'fortran_order': 1, 'shape': (1, 1, 1)}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (1, 1, 1)}",
        "{'descr': '<f8', 'shape': (1, 1, 1)}",
        "[1]",
        "exit()",
        "(" * 118,
    ],
)
def test_array_shorter_than_its_header_is_refused(header: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_member(path, header)
    assert path.stat().st_size < 300
    with pytest.raises(DataError, match=f"^{path}: array arr_0: pickled or corrupted"):
        list(read_grids(path))


def test_an_array_of_another_compression_than_numpys_is_refused(tmp_path: Path) -> None:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1)}"
    write_member(tmp_path / "a.npz", header, bytes(4))
    assert len(list(read_grids(tmp_path / "a.npz"))) == 1
    write_member(tmp_path / "b.npz", header, bytes(4), compression=zipfile.ZIP_LZMA)
    with pytest.raises(DataError, match="array arr_0: pickled or corrupted"):
        list(read_grids(tmp_path / "b.npz"))


def test_grids_that_are_too_large_are_refused_before_they_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", np.zeros((2**13, 2**13, 2), np.uint8))
    assert (tmp_path / "a.npz").stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(DataError, match=r"exceed the limit of 67,108,864 bytes; make them small"):
        list(read_grids(tmp_path / "a.npz"))
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_of_many_grids_one_is_in_memory_at_a_time(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", grids=np.zeros((1000, 20, 200, 4), np.uint8))
    tracemalloc.start()
    assert sum(1 for _ in read_grids(tmp_path / "a.npz")) == 1000
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


def test_arrays_in_fortran_order(tmp_path: Path) -> None:
    values = np.arange(24).reshape(2, 3, 4)
    np.savez(tmp_path / "a.npz", np.asfortranarray(values))
    (grid,) = read_grids(tmp_path / "a.npz")
    assert np.array_equal(grid.values, values)
    np.savez(tmp_path / "b.npz", grids=np.asfortranarray([values]))
    with pytest.raises(DataError, match=r"array grids: is in Fortran order; save numpy.ascontig"):
        list(read_grids(tmp_path / "b.npz"))


def test_irregular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.npz")
    for path in (tmp_path / "fifo.npz", Path("/dev/zero"), tmp_path, tmp_path / "missing.npz"):
        with pytest.raises(DataError, match=f"^{path}: "):
            list(read_grids(path))
    with (tmp_path / "sparse.npz").open("wb") as file:
        file.truncate(20 * 10**9)
    with pytest.raises(DataError, match=r"not a valid \.npz file; write it"):
        list(read_grids(tmp_path / "sparse.npz"))


def test_changed_byte_is_reported(tmp_path: Path) -> None:
    path, values = tmp_path / "a.npz", np.arange(12.0).reshape(2, 2, 3)
    np.savez_compressed(path, values)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.infolist()
    end = archive.start_dir
    numbers = set(range(end - member.compress_size, end))
    refused = set()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            (grid,) = read_grids(path)
        except DataError:
            refused.add(place)
        else:  # some bytes, as of a date, change nothing
            assert np.array_equal(grid.values, values)
    assert refused >= numbers


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for content in (b"some text", b"", b"PK\x03\x04 cut short", pickle.dumps([1])):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"not a valid \.npz file; write it"):
            list(read_grids(path))
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r"a single array \(\.npy\); write"):
        list(read_grids(path))
    np.savez(path, other=np.zeros((2, 2, 3)))
    with pytest.raises(DataError, match="array arr_0 is missing; name arrays arr_0, arr_1, …, or"):
        list(read_grids(path))


def test_cells_are_channels_row_and_column() -> None:
    grid = Grid(np.arange(6, dtype=np.float32).reshape(1, 3, 2), "g")
    encoded = GridReader(2, 4, 4).encode_words(grid)
    assert encoded.ids.tolist() == [[0, 1, 0, 0], [2, 3, 0, 1], [4, 5, 0, 2]]
    assert encoded.words == ["1,1", "1,2", "1,3"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 2, 3), "g: 3 channels, but model.encoder.channels is 2"), ((5, 2, 2), "g: 5 rows")],
)
def test_a_grid_that_the_model_cannot_read(shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        GridReader(2, 4, 4).encode(Grid(np.zeros(shape, np.float32), "g"))


def test_the_reader_pickles() -> None:
    reader = GridReader(2, 4, 5)
    copy = pickle.loads(pickle.dumps(reader))
    assert copy == reader
    assert copy.fingerprint() == reader.fingerprint() != GridReader(3, 4, 5).fingerprint()


def test_grids_have_no_sampling_and_no_unknown_tokens() -> None:
    reader, grid = GridReader(2, 4, 4), Grid(np.ones((2, 3, 2), np.float32), "g")
    assert not reader.samples
    assert np.array_equal(reader.encode(grid, random.Random(1)), reader.encode(grid))
    assert count_tokens(reader, [grid]) == (reader.encode(grid).shape[0], 0)


@pytest.fixture
def files(tmp_path: Path) -> GridCorpus:
    """Two grids of one and of two rows, with a line for each."""
    np.savez(tmp_path / "a.npz", np.full((1, 2, 2), 0.5), np.ones((2, 2, 2)))
    (tmp_path / "a.txt").write_text("7\n8 9\n")
    return GridCorpus(grids=tmp_path / "a.npz", target=tmp_path / "a.txt")


def test_pairs_of_grids_and_lines(files: GridCorpus) -> None:
    pairs = list(files.read_pairs())
    assert [(grid.values.shape, line) for grid, line in pairs] == [
        ((1, 2, 2), "7"),
        ((2, 2, 2), "8 9"),
    ]
    assert str(files) == f"{files.grids} and {files.target}"


@pytest.mark.parametrize("lines", ["7\n", "7\n8\n9\n"])
def test_a_line_for_each_grid(files: GridCorpus, lines: str) -> None:
    assert files.target is not None
    files.target.write_text(lines)
    message = rf"has 2 grids, .*a\.txt has {lines.count(chr(10))} lines: line n must be the text of"
    with pytest.raises(DataError, match=message):
        list(files.read_pairs())


def test_a_corpus_of_grids_is_encoded_and_kept(
    files: GridCorpus, tokenizer, tmp_path: Path
) -> None:
    reader, folder = GridReader(2, 4, 4), tmp_path / "cache"
    for _ in range(2):  # made, and from the cache
        corpus = encode_corpus(files, reader, tokenizer, filters=Filters(), folder=folder)
        assert corpus.source_side.tokens.lengths.tolist() == [2, 4]
        assert corpus.source(0).tolist() == [[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 1]]
        assert corpus.source(1).dtype == np.float32
        assert corpus.target(1).tolist() == [8, 9]


def test_the_longest_grids_are_left_out(files: GridCorpus, tokenizer, tmp_path: Path) -> None:
    filters = Filters(max_length=3)
    corpus = encode_corpus(files, GridReader(2, 4, 4), tokenizer, filters=filters, folder=tmp_path)
    assert corpus.source_side.tokens.lengths.tolist() == [2]
    assert corpus.report.num_too_long == 1


def test_other_grids_are_another_corpus(files: GridCorpus, tokenizer, tmp_path: Path) -> None:
    """The cache goes by what is in the files: other numbers, or the same again."""

    def key() -> str:
        reader = GridReader(2, 4, 4)
        return encode_corpus(files, reader, tokenizer, filters=Filters(), folder=tmp_path).key

    before, content = key(), files.grids.read_bytes()
    np.savez(files.grids, np.full((1, 2, 2), 0.25), np.ones((2, 2, 2)))
    assert key() != before
    files.grids.write_bytes(content)
    assert key() == before


def test_a_batch_of_grids_is_padded_and_has_no_eos() -> None:
    short, long = np.ones((1, 4), np.float32), np.full((3, 4), 2.0, np.float32)
    batch = make_batch([short, long], [[5], [6, 7]])
    assert batch.source.dtype == torch.float32
    assert batch.source.tolist() == [[[1.0] * 4, [0.0] * 4, [0.0] * 4], [[2.0] * 4] * 3]
    assert batch.source_lengths.tolist() == [1, 3]
    source, lengths = make_source([short, long])
    assert torch.equal(source, batch.source)
    assert torch.equal(lengths, batch.source_lengths)
