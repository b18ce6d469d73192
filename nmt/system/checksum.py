"""A file that holds its own SHA-256, so that one that was damaged on its way is told."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from nmt.system.untrusted_files import open_regular

_MARK: Final = b"sealed by nmt, SHA-256 "
_BLANK: Final = b"0" * 64
_CHUNK: Final = 2**20

CHECKSUM_PLACEHOLDER: Final = (_MARK + _BLANK).decode()
"""What must stand in a file, as it is, to be sealed: the digest takes the place of the zeros."""


def write_checksum(path: Path) -> None:
    """Put the digest of a file into it."""
    at, digest = _find(path)
    assert at is not None, "it holds CHECKSUM_PLACEHOLDER"
    with path.open("r+b") as file:
        file.seek(at)
        file.write(digest)


def verify_checksum(path: Path) -> bool:
    """Whether a file is as it was when it was sealed."""
    at, digest = _find(path)
    if at is None:
        return False
    with path.open("rb") as file:
        file.seek(at)
        return file.read(len(digest)) == digest


def _find(path: Path) -> tuple[int | None, bytes]:
    """Return where the digest belongs (None: no mark), and what it is with zeros there.

    A file may be of any size: little of it is in memory at a time.
    """
    with open_regular(path) as file:
        at = _end_of_mark(file)
        if at is None:
            return None, b""
        digest = hashlib.sha256()
        file.seek(0)
        for chunk in _chunks(file, at):
            digest.update(chunk)
        digest.update(_BLANK)
        file.seek(at + len(_BLANK))
        for chunk in _chunks(file, None):
            digest.update(chunk)
        return at, digest.hexdigest().encode()


def _end_of_mark(file: BinaryIO) -> int | None:
    """Return where the last mark ends; None: there is none."""
    at, start, tail = None, 0, b""
    while chunk := file.read(_CHUNK):
        block = tail + chunk
        found = block.rfind(_MARK)
        if found >= 0:
            at = start - len(tail) + found + len(_MARK)
        start += len(chunk)
        tail = block[1 - len(_MARK) :]
    return at


def _chunks(file: BinaryIO, size: int | None) -> Iterator[bytes]:
    """Read the next `size` bytes of a file in chunks; None: all that is left."""
    while size != 0 and (chunk := file.read(_CHUNK if size is None else min(size, _CHUNK))):
        size = None if size is None else size - len(chunk)
        yield chunk
