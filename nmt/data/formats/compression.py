"""Compressed streams, detected by their first bytes and read in constant memory.

A decompressor never returns more bytes than requested.
"""

import bz2
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable
from functools import partial
from io import BufferedIOBase, BufferedReader
from typing import Final

from nmt.core.errors import DataError

# No UTF-8 text starts with these bytes, so the suffix of a file does not matter.
MAGIC: Final = re.compile(
    rb"(?P<gzip>\x1f\x8b)|(?P<bzip2>BZh[1-9](?:1AY&SY|\x17rE8P\x90))|(?P<xz>\xfd7zXZ\x00)"
    rb"|(?P<zip>PK(?:\x03\x04|\x05\x06))|(?P<zstandard>\x28\xb5\x2f\xfd)",
    re.DOTALL,
)
MAGIC_BYTES: Final = 10
# Exceptions for corrupted data, besides OSError without an errno.
DAMAGE: Final = (EOFError, zlib.error, lzma.LZMAError)
_CHUNK: Final = 1 << 16
_XZ_MEMORY: Final = 2**28  # bytes; `xz -9` needs a quarter of it
_NOT_READ: Final = {"zip": "zip", "zstandard": "Zstandard (.zst)"}


class _Decompressed(io.RawIOBase):
    """Raw stream of the content of one or more concatenated compressed streams.

    Python's `BZ2File` and `LZMAFile` silently ignore trailing garbage, and `LZMAFile` allocates as
    much memory as the file demands.
    """

    def __init__(
        self,
        file: BufferedReader,
        make: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor],
    ) -> None:
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
        """Return the first bytes of the next stream, if any; NULs between streams are padding."""
        rest = self._decompressor.unused_data.lstrip(b"\0")
        while not rest and (chunk := self._file.read1(_CHUNK)):
            rest = chunk.lstrip(b"\0")
        return rest


def decompress(file: BufferedReader, name: str, kind: str) -> BufferedIOBase:
    """Return a stream of the decompressed content.

    Args:
        file: the compressed stream.
        name: name of the stream, for messages.
        kind: the group of `MAGIC` that its first bytes match.

    Raises:
        DataError: this compression is not supported.
    """
    if kind == "gzip":
        return gzip.GzipFile(fileobj=file)
    if kind == "bzip2":
        return BufferedReader(_Decompressed(file, bz2.BZ2Decompressor))
    if kind == "xz":
        make = partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        return BufferedReader(_Decompressed(file, make))
    raise DataError(
        f"{name}: {_NOT_READ[kind]} is not supported; decompress the file, or use gzip, bzip2 or xz"
    )
