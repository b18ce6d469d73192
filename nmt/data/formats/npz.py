"""Arrays of an `.npz` file, read row by row: what a file declares is checked before it is read.

NumPy's own reader makes room for all that an array declares to be before it reads any of it, and
a few bytes can declare terabytes.
"""

import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

MAX_ROW_BYTES: Final = 2**26
"""Limit of what is in memory at a time: of one grid."""
_HEADERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_ENDING: Final = ".npy"


class StoredArray:
    """An array of which only the header has been read.

    Args:
        stream: the file of the array, at its start.
        size: bytes of it.

    Raises:
        ValueError: the header is none, or of Python objects, or does not fit the size.
    """

    def __init__(self, stream: IO[bytes], size: int) -> None:
        version = npy.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError("it is of another version of the format")
        self.shape, self.is_fortran, self.dtype = _HEADERS[version](stream)
        if self.dtype.hasobject:
            raise ValueError("it holds Python objects")
        declared = math.prod(self.shape) * self.dtype.itemsize
        if min(self.shape, default=0) < 0 or stream.tell() + declared != size:
            raise ValueError("it has more or fewer bytes than it says")
        self._stream = stream

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def row_bytes(self, num_dimensions: int) -> int:
        """Return the bytes of a row, which has so many of the last dimensions."""
        return math.prod(self.shape[-num_dimensions:]) * self.dtype.itemsize

    def rows(self, num_dimensions: int) -> Iterator[NDArray[Any]]:
        """Read the array as rows of its last dimensions; the whole, where these are all.

        Raises:
            ValueError: it is cut short.
        """
        shape = self.shape[-num_dimensions:]
        size = self.row_bytes(num_dimensions)
        for _ in range(math.prod(self.shape[:-num_dimensions])):
            content = self._stream.read(size)
            if len(content) < size:
                raise ValueError("it is cut short")
            row = np.frombuffer(content, self.dtype)
            yield row.reshape(shape, order="F" if self.is_fortran else "C")
        if self._stream.read(1):  # at the end the checksum is compared
            raise ValueError("it is too long")


def members(archive: zipfile.ZipFile) -> Mapping[str, zipfile.ZipInfo]:
    """Return the arrays of a file by name."""
    return {info.filename.removesuffix(_ENDING): info for info in archive.infolist()}


@contextmanager
def open_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[StoredArray]:
    """Open an array of a file.

    Raises:
        ValueError: it is compressed as NumPy does not, or see `StoredArray`.
    """
    # (A decoder of LZMA makes room for what the file says.)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is compressed in another way than numpy does")
    with archive.open(info) as stream:
        yield StoredArray(stream, info.file_size)
