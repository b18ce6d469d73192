import hashlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from nmt.core.errors import DataError
from nmt.toy.pictures import CHANNELS, COLOURS, SHAPES, describe, draw, pictures, write_pictures

SPLITS = ("train", "valid", "test")
Picture = tuple[np.ndarray, str]


def sample(count: int, split: str = "train", **options: int) -> list[Picture]:
    return list(islice(pictures(split, **options), count))


def things_in(picture: np.ndarray) -> list[tuple[int, int, str, str]]:
    """What is drawn, read back from the numbers."""
    names = {colour: name for name, colour in COLOURS.items()}
    return [
        (row, column, names[tuple(cell[:3].astype(int).tolist())], SHAPES[int(cell[3:].argmax())])
        for row, cells in enumerate(picture)
        for column, cell in enumerate(cells)
        if cell.any()
    ]


def test_the_pictures_are_the_same_in_every_version() -> None:
    found = hashlib.sha256()
    for picture, text in sample(500, seed=1):
        found.update(repr(picture.shape).encode() + picture.tobytes() + text.encode())
    expected = "6ba528a37abf5f84083bf8215d4f75dc7aafcc958b83e0a70010efdec107bee0"
    assert found.hexdigest() == expected


@pytest.mark.parametrize(
    ("things", "text"),
    [
        ([(0, 0, "red", "circle")], "a red circle in row 1 column 1"),
        (
            [(0, 1, "green", "square"), (0, 2, "blue", "triangle")],
            "a green square in row 1 column 2 is left of a blue triangle",
        ),
        (
            [(1, 3, "yellow", "circle"), (3, 3, "red", "circle")],
            "a yellow circle in row 2 column 4 is above a red circle",
        ),
        (
            [(1, 2, "blue", "circle"), (2, 0, "blue", "square"), (2, 4, "red", "circle")],
            "a blue circle in row 2 column 3 is above right of a blue square"
            " and above left of a red circle",
        ),
    ],
)
def test_descriptions_by_hand(things: list[tuple[int, int, str, str]], text: str) -> None:
    assert describe(things) == text


def test_a_picture_by_hand() -> None:
    picture = draw(2, 3, [(0, 2, "yellow", "triangle"), (1, 0, "blue", "circle")])
    assert picture.shape == (2, 3, CHANNELS)
    assert picture.dtype == np.float32
    assert picture[0, 2].tolist() == [1, 1, 0, 0, 0, 1]
    assert picture[1, 0].tolist() == [0, 0, 1, 1, 0, 0]
    assert picture.sum() == 5.0


def test_text_describes_the_picture() -> None:
    for picture, text in sample(300):
        assert describe(things_in(picture)) == text


def test_pictures_are_of_all_kinds() -> None:
    drawn = [(picture.shape, things_in(picture)) for picture, _ in sample(1000)]
    assert {shape for shape, _ in drawn} == {(r, c, CHANNELS) for r in (4, 5, 6) for c in (4, 5, 6)}
    assert {len(things) for _, things in drawn} == {1, 2, 3}
    assert {thing[2:] for _, things in drawn for thing in things} == {
        (colour, shape) for colour in COLOURS for shape in SHAPES
    }


def test_a_seed_decides_everything() -> None:
    def numbers(found: list[Picture]) -> list[tuple[object, str]]:
        return [(picture.tolist(), text) for picture, text in found]

    assert numbers(sample(30, seed=3)) == numbers(sample(30, seed=3))
    assert numbers(sample(30, seed=3)) != numbers(sample(30, seed=4))
    assert numbers(sample(30))[:10] == numbers(sample(10))


def test_same_objects_in_a_larger_grid_are_another_picture() -> None:
    """Places are counted from the top left, so that only the size of the grid tells them apart."""
    things = [(1, 2, "red", "square"), (3, 0, "green", "circle")]
    small, large = draw(4, 4, things), draw(6, 5, things)
    assert things_in(small) == things_in(large) == things
    assert np.array_equal(large[:4, :4], small)
    assert not large[4:].any() and not large[:, 4:].any()


def test_pictures_are_unique_across_splits_and_seeds() -> None:
    seen: dict[str, set[tuple[object, ...]]] = {}
    for split in SPLITS:
        found = [sample(800, split, seed=seed) for seed in (1, 2)]
        keys = [
            [(picture.shape, picture.tobytes()) for picture, _ in pictures_of_seed]
            for pictures_of_seed in found
        ]
        assert all(len(set(of_seed)) == 800 for of_seed in keys)
        seen[split] = {key for of_seed in keys for key in of_seed}
    assert not seen["train"] & seen["valid"]
    assert not seen["train"] & seen["test"]
    assert not seen["valid"] & seen["test"]


def test_files_are_picture_for_line(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "pictures"
    write_pictures(folder, {"train": 12, "valid": 3, "test": 0}, seed=7)
    expected = sample(12, seed=7)
    with np.load(folder / "train.npz") as arrays:
        written = [arrays[f"arr_{index}"] for index in range(12)]
    assert all(map(np.array_equal, written, (picture for picture, _ in expected)))
    assert (folder / "train.txt").read_text().splitlines() == [text for _, text in expected]
    assert len((folder / "valid.txt").read_text().splitlines()) == 3
    assert (folder / "test.txt").read_text() == ""


def test_refuses_a_negative_size(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="valid: must be 0 or more pictures, not -1"):
        write_pictures(tmp_path, {"train": 1, "valid": -1})
    assert not list(tmp_path.iterdir())


def test_names_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file.*: not written .*; choose another"):
        write_pictures(tmp_path / "file" / "pictures", {"test": 1})
