"""Outputs that are written straight through: stdout, open descriptors, pipes and devices.

`/dev/stdout`, `/dev/fd/N` and `/proc/self/fd/N` name what this process has open, be it a file, and
are never replaced: `-o /dev/stdout >> log` appends to the log.
"""

import fcntl
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TextIO, cast

from nmt.core.errors import DataError, os_reason

_MOST_LINKS: Final = 40  # that are followed, as by Linux


def is_stream(path: Path) -> bool:
    """Return whether a path names an open descriptor, or an existing pipe or device.

    Nothing that is wrong with the path is raised: whoever opens it reports it.
    """
    if find_descriptor(path) is not None:
        return True
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def find_descriptor(path: Path) -> int | None:
    """Return the descriptor of this process that a path, or a link to it, names; None: no one."""
    name = os.fspath(path)
    ours = re.compile(rf"(/proc/(self|thread-self|{os.getpid()})(/task/\d+)?|/dev)/fd")
    for _ in range(_MOST_LINKS):
        folder, last = os.path.split(os.path.abspath(name))
        folder = os.path.realpath(folder)
        if last.isdecimal() and ours.fullmatch(folder):
            return int(last)
        name = os.path.join(folder, last)
        if not os.path.islink(name):
            return None
        name = os.path.join(folder, os.readlink(name))
    return None


@contextmanager
def open_text_stream(path: Path) -> Iterator[TextIO]:
    """Open a stream for text in UTF-8; whole lines arrive in the order in which they are written.

    Stdout is `sys.stdout` itself, so that the order is right with what else is printed there.

    Raises:
        DataError: it cannot be opened.
    """
    if find_descriptor(path) == 1:
        yield sys.stdout
        sys.stdout.flush()
        return
    with (
        open_binary_stream(path) as file,
        io.TextIOWrapper(file, "utf-8", "replace", newline="\n", line_buffering=True) as text,
    ):
        yield text


@contextmanager
def open_binary_stream(path: Path) -> Iterator[io.BufferedWriter]:
    """Open a stream for bytes.

    Raises:
        DataError: it cannot be opened.
    """
    descriptor = find_descriptor(path)
    if descriptor == 1:
        sys.stdout.flush()
        with _forward(cast(BinaryIO, sys.stdout.buffer), path) as stream:
            yield stream
        return
    try:
        raw = io.FileIO(path if descriptor is None else os.dup(descriptor), "w")
    except OSError as error:
        raise cannot_write(path, error) from None
    if fcntl.fcntl(raw, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raw.close()
        raise DataError(f"{path}: is open for reading only; choose another output")
    with raw, _forward(raw, path) as stream:
        yield stream


def cannot_write(path: Path, error: OSError) -> DataError:
    """Return the error for an output that the system refuses to open."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: its folder does not exist; make it first")
    return DataError(f"{path}: cannot be written: {os_reason(error)}")


def _forward(file: BinaryIO | io.FileIO, name: Path) -> io.BufferedWriter:
    raw = cast(io.FileIO, _Forward(file, name))  # which has all of it that is used
    return cast(io.BufferedWriter, io.BufferedWriter(raw))


class _Forward(io.RawIOBase):
    """Passes bytes on to a file that stays open, and cannot be sought in: some append only.

    Errors of the system name the file.
    """

    def __init__(self, file: BinaryIO | io.FileIO, name: Path) -> None:
        self._file = file
        self._name = str(name)

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, content: bytes) -> int | None:  # type: ignore[override]
        """Write bytes, or as many of them as the file takes at once."""
        try:
            return self._file.write(content)
        except OSError as error:
            error.filename = self._name
            raise

    def flush(self) -> None:
        """Flush the file."""
        if not self.closed:
            self._file.flush()
