"""Arrays written to one .npz file, one after the other: none is kept in memory."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.cli.outputs import open_binary_output


@contextmanager
def open_arrays(path: Path, name: str) -> Iterator[Callable[[NDArray[Any]], None]]:
    """A function that appends an array, as float32, to a file that `numpy.load` reads.

    The file appears when it is complete.

    Args:
        path: the file.
        name: of an array; `{}` stands for its number, from 1.

    Raises:
        DataError: the file cannot be written.
    """
    number = 0
    with (
        open_binary_output(path) as output,
        zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive,
    ):

        def append(array: NDArray[Any]) -> None:
            nonlocal number
            number += 1
            member = f"{name.format(number)}.npy"
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array, np.float32))

        yield append
