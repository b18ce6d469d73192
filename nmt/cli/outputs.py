"""Outputs: stdout, or a file that appears when it is complete."""

import io
import os
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from nmt.cli.output_streams import cannot_write, is_stream, open_binary_stream, open_text_stream
from nmt.core.console import print_notice
from nmt.core.errors import DataError, os_reason
from nmt.system.files import atomic_write, partial_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_GZIP: Final = 16 + zlib.MAX_WBITS  # what zlib calls it; its header has no name and no time
_MEMBER_BYTES: Final = 1 << 20


@contextmanager
def open_output(path: Path | None, *, keep: int = 0) -> Iterator[TextIO]:
    """Open a stream for text in UTF-8 with line feeds; it is compressed for a name in .gz.

    Args:
        path: the file, written as by `open_binary_output`; None: stdout.
        keep: as there.

    Raises:
        DataError: the file cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    is_compressed = path.suffix == ".gz"
    if is_stream(path) and not is_compressed:
        with open_text_stream(path) as text:
            yield text
        return
    with open_binary_output(path, keep=keep) as file:
        packed = _GzipMembers(file, is_begun=keep > 0) if is_compressed else None
        stream = file if packed is None else io.BufferedWriter(packed, _MEMBER_BYTES)
        with io.TextIOWrapper(stream, "utf-8", "replace", newline="\n") as text:
            yield text
            text.flush()
            if packed is not None:
                packed.finish()


@contextmanager
def open_binary_output(path: Path, *, keep: int = 0) -> Iterator[io.BufferedWriter]:
    """Open a stream for bytes.

    A file is written as `NAME.partial` next to it and takes its name in the end. A file that was
    there is whole until then. Where the work breaks off, what was written stays under the partial
    name, for it may have taken hours. What `is_stream` is written straight to.

    Args:
        path: the file.
        keep: bytes of the partial file that stay, where the work is gone on with.

    Raises:
        DataError: the file cannot be written, or stays incomplete because the reader of another
            output has closed it.
    """
    if is_stream(path):
        with open_binary_stream(path) as stream:
            yield stream
        return
    # What a link points to is written, and the link stays. (os.path, for it never raises.)
    path = Path(os.path.realpath(path))
    if os.path.isdir(path):
        raise DataError(f"{path}: is a folder, where a file is to be written; give a file name")
    try:
        with (
            atomic_write(path, keep_partial=True) as partial,
            _open(partial, path, mode="ab" if keep else "wb") as stream,
        ):
            yield stream
    except BaseException as error:
        if os.path.exists(partial_path(path)):
            print_notice(f"nmt: what was finished is in {partial_path(path)}")
        if isinstance(error, BrokenPipeError):
            raise DataError(
                f"{path}: is incomplete, as the program that reads the other output has closed it; "
                "run the command again and read that output to its end"
            ) from None
        raise


@contextmanager
def open_arrays(path: Path, name: str) -> "Iterator[Callable[[NDArray[np.floating[Any]]], None]]":
    """Open a .npz file; yield a function that appends an array to it, as float32.

    No array is kept in memory.

    Args:
        path: the file, written as by `open_binary_output`.
        name: of an array; `{}` stands for its number, from 1.

    Raises:
        DataError: the file cannot be written.
    """
    import numpy as np

    number = 0
    with (
        open_binary_output(path) as output,
        zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive,
    ):

        def append(array: "NDArray[np.floating[Any]]") -> None:
            nonlocal number
            number += 1
            member = f"{name.format(number)}.npy"
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array, np.float32))

        yield append


def make_folder(path: Path) -> None:
    """Make a folder to write files into, and refuse before the work what cannot be written.

    Raises:
        DataError: it cannot be made, or not be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{path}: a file is in the way; give another folder") from None
    except OSError as error:
        raise DataError(f"{path}: cannot make the folder: {os_reason(error)}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise DataError(f"{path}: no permission to write in this folder")


def _open(path: Path, asked_for: Path, mode: Literal["wb", "ab"]) -> io.BufferedWriter:
    try:
        with path.open(mode, buffering=0) as file:
            return io.BufferedWriter(_NamedFile(file))
    except OSError as error:
        raise cannot_write(asked_for, error) from None


class _NamedFile(io.FileIO):
    """A file whose errors name it when it is written to, too.

    Args:
        file: that is open; it may be closed then.
    """

    def __init__(self, file: io.FileIO) -> None:
        super().__init__(os.dup(file.fileno()), file.mode)
        self._place = str(file.name)

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError as error:
            error.filename = self._place
            raise


class _GzipMembers(io.RawIOBase):
    """Compresses each block as a gzip member: members in a row are one gzip file.

    The file may be cut at the end of any of them, and continued there.

    Args:
        file: what the members are written to.
        is_begun: it has some already.
    """

    def __init__(self, file: io.BufferedWriter, *, is_begun: bool) -> None:
        self._file = file
        self._is_begun = is_begun

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, content: Any) -> int:
        """Write a member, down to the file."""
        self._file.write(zlib.compress(content, wbits=_GZIP))
        self._file.flush()
        self._is_begun = True
        return len(content)

    def finish(self) -> None:
        """Write an empty member where there is none: an empty file is not a gzip file."""
        if not self._is_begun:
            self.write(b"")
