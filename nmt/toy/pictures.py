"""Pictures of coloured shapes on a grid, with descriptions from a small grammar."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nmt.core.errors import DataError
from nmt.system.files import atomic_write
from nmt.toy.corpus import check_sizes, is_in_split

COLOURS: Final = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0)}
SHAPES: Final = ("circle", "square", "triangle")
CHANNELS: Final = 3 + len(SHAPES)

# Row, column, colour, shape.
Thing = tuple[int, int, str, str]


def describe(things: list[Thing]) -> str:
    """Describe a picture: the first thing, its position, and its relations to the others.

    Args:
        things: sorted by row, then by column.
    """
    row, column, colour, shape = things[0]
    text = f"a {colour} {shape} in row {row + 1} column {column + 1}"
    relations = [_relation(things[0], other) for other in things[1:]]
    return text + (" is " + " and ".join(relations) if relations else "")


def _relation(first: Thing, other: Thing) -> str:
    sides = ["above"] if first[0] < other[0] else []
    if first[1] != other[1]:
        sides.append("left of" if first[1] < other[1] else "right of")
    return f"{' '.join(sides)} a {other[2]} {other[3]}"


def draw(rows: int, columns: int, things: list[Thing]) -> NDArray[np.float32]:
    """Draw a picture `[rows columns CHANNELS]`: red, green, blue, and a channel for each shape.

    Empty cells are 0.
    """
    picture = np.zeros((rows, columns, CHANNELS), np.float32)
    for row, column, colour, shape in things:
        picture[row, column, :3] = COLOURS[colour]
        picture[row, column, 3 + SHAPES.index(shape)] = 1.0
    return picture


def pictures(split: str, *, seed: int = 1) -> Iterator[tuple[NDArray[np.float32], str]]:
    """Yield distinct pictures of 4 x 4 to 6 x 6 cells with one to three things, without end.

    Its hash decides the split of a picture.

    Args:
        split: train, valid or test.
        seed: of the random generator.
    """
    rng = random.Random(f"{seed} {split}")
    seen: set[str] = set()
    while True:
        rows, columns = rng.randint(4, 6), rng.randint(4, 6)
        cells = sorted(rng.sample(range(rows * columns), rng.randint(1, 3)))
        things = [
            (*divmod(cell, columns), rng.choice(list(COLOURS)), rng.choice(SHAPES))
            for cell in cells
        ]
        content = repr((rows, columns, things))
        if is_in_split(split, content) and content not in seen:
            seen.add(content)
            yield draw(rows, columns, things), describe(things)


def write_pictures(folder: Path, sizes: dict[str, int], *, seed: int = 1) -> None:
    """Write `SPLIT.npz` and `SPLIT.txt` for each split.

    Raises:
        DataError: a size is negative, or a file cannot be written.
    """
    check_sizes(sizes, "pictures")
    for split, size in sizes.items():
        pairs = list(islice(pictures(split, seed=seed), size))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(folder / f"{split}.npz") as path, path.open("wb") as file:
                np.savez_compressed(file, *(picture for picture, _ in pairs))
            with atomic_write(folder / f"{split}.txt") as path:
                path.write_text("".join(f"{text}\n" for _, text in pairs), encoding="utf-8")
        except OSError as error:
            raise DataError(f"{folder}: not written ({error.strerror}); choose another") from error
