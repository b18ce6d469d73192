"""Lines of bytes from a file or a pipe: decompressed by content, bounded in length.

Whatever the stream holds, reading takes constant memory: of a line over the limit only the first
bytes are kept, and a decompressor never returns more than what is asked for.
"""

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from nmt.core.errors import DataError, os_reason

MAX_LINE_BYTES: Final = 1_000_000
"""Default limit of a line, without its end."""
_CHUNK: Final = 1 << 16
_XZ_MEMORY: Final = 2**28  # bytes; `xz -9` needs a quarter of it

# What no UTF-8 text begins with, so that the suffix of a file need not be right.
_GZIP: Final = re.compile(rb"\x1f\x8b")
_BZIP2: Final = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", re.DOTALL)
_XZ: Final = re.compile(rb"\xfd7zXZ\x00")
_MAGIC_BYTES: Final = 10
_NOT_READ: Final = (
    ("zip", re.compile(rb"PK(\x03\x04|\x05\x06)")),
    ("Zstandard (.zst)", re.compile(rb"\x28\xb5\x2f\xfd")),
)


RawLine: TypeAlias = tuple[bytes, int, bool]
"""A line as it stands in the text: its bytes, with the line feed, or of one over the limit the
first bytes; how many bytes are before it; whether it is over the limit."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Decompressed(io.RawIOBase):
    """The content of compressed streams that follow one another in a file.

    Python's own `BZ2File` and `LZMAFile` pass over whatever follows a stream, and the latter takes
    as much memory as the file says.
    """

    def __init__(self, file: BufferedReader, make: Callable[[], _Decompressor]) -> None:
        self._file = file
        self._make = make
        self._decompressor = make()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            compressed = b""
            if self._decompressor.eof:
                compressed = self._next_stream()
                if not compressed:
                    return 0
                self._decompressor = self._make()
            elif self._decompressor.needs_input:
                compressed = self._file.read1(_CHUNK)
                if not compressed:
                    raise EOFError
            content = self._decompressor.decompress(compressed, len(buffer))
            if content:
                buffer[: len(content)] = content
                return len(content)

    def _next_stream(self) -> bytes:
        """Return the beginning of the next stream, or nothing; NULs between streams are padding."""
        rest = self._decompressor.unused_data.lstrip(b"\0")
        while not rest and (chunk := self._file.read1(_CHUNK)):
            rest = chunk.lstrip(b"\0")
        return rest


_Stream: TypeAlias = BufferedReader | gzip.GzipFile


def open_binary(path: Path) -> BufferedReader:
    """Open a file, or a pipe, for reading.

    Raises:
        DataError: it is missing, a folder, a device, not readable by this user, or cannot be
            opened.
    """
    try:
        file = path.open("rb")
        if _is_endless(file):
            file.close()
            raise DataError(f"{path}: is a device, where a file is needed")
        return file
    except OSError as error:
        raise DataError(f"{path}: {_reason(error)}") from None
    except ValueError:  # a NUL or half a surrogate pair in the name
        raise DataError(f"{path}: not a valid file name") from None


def require_regular(path: Path) -> None:
    """Refuse what can be read only once, as a pipe, where a file is read several times.

    What is missing, or may not be looked at, is left to whoever opens it.

    Raises:
        DataError: it is a pipe, a device or a socket.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(
            f"{path}: not a regular file, and it is read several times; write it to a file first"
        )


def _reason(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "no such file"
        case IsADirectoryError():
            return "is a folder, where a file is needed"
        case PermissionError():
            return "no permission to read it"
    return f"cannot be opened: {os_reason(error)}"


def _is_endless(file: BufferedReader) -> bool:
    """Return whether it is a device such as /dev/zero, and neither a terminal nor /dev/null."""
    mode = os.fstat(file.fileno()).st_mode
    if not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
        return False
    return not file.isatty() and not os.path.samestat(os.fstat(file.fileno()), os.stat(os.devnull))


def raw_lines(
    file: BufferedReader, name: str, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[RawLine]:
    """Read the lines of a stream, plain or compressed with gzip, bzip2 or xz.

    Args:
        file: the stream; its first bytes say how it is compressed. No more is read than needed.
        name: of the stream, for messages.
        max_line_bytes: the most bytes of a line, without its end.

    Raises:
        DataError: it is compressed in another way, or the compressed data is damaged.
    """
    compression, stream = _decompressed(file, name)
    limit = max_line_bytes + len(b"\r\n")
    number = start = 0
    try:
        while line := stream.readline(limit):
            number += 1
            size = len(line)
            is_too_long = size > max_line_bytes and len(without_end(line)) > max_line_bytes
            yield line, start, is_too_long  # before the rest is read, which may be endless
            rest = line
            while is_too_long and not rest.endswith(b"\n") and (rest := stream.readline(_CHUNK)):
                size += len(rest)
            start += size
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{name}: cannot be read: {os_reason(error)}") from None
        raise DataError(
            f"{name}: the {compression} data is damaged or cut short after line {number}; "
            "make the file again"
        ) from None


def without_end(line: bytes) -> bytes:
    """Return a line without its line feed and the carriage return before that."""
    return line[:-1].removesuffix(b"\r") if line.endswith(b"\n") else line


def _decompressed(file: BufferedReader, name: str) -> tuple[str, _Stream]:
    start = file.peek(_MAGIC_BYTES)[:_MAGIC_BYTES]
    if _GZIP.match(start):
        return "gzip", gzip.GzipFile(fileobj=file)
    if _BZIP2.match(start):
        return "bzip2", io.BufferedReader(_Decompressed(file, bz2.BZ2Decompressor))
    if _XZ.match(start):
        return "xz", io.BufferedReader(_Decompressed(file, _xz_decompressor))
    for kind, magic in _NOT_READ:
        if magic.match(start):
            raise DataError(
                f"{name}: {kind} is not supported; decompress the file, or use gzip, bzip2 or xz"
            )
    return "plain", file


def _xz_decompressor() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
