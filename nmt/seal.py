"""A file that holds its own SHA-256, so that one that was damaged on its way is told."""

import hashlib
from pathlib import Path
from typing import Final

_MARK: Final = b"sealed by nmt, SHA-256 "
_BLANK: Final = b"0" * 64

UNSEALED: Final = (_MARK + _BLANK).decode()
"""What must stand in a file, as it is, to be sealed: the digest takes the place of the zeros."""


def seal(path: Path) -> None:
    """Put the digest of a file into it."""
    at, digest = _find(path)
    assert at is not None, "it holds UNSEALED"
    with path.open("r+b") as file:
        file.seek(at)
        file.write(digest)


def is_sealed(path: Path) -> bool:
    """Whether a file is as it was when it was sealed."""
    at, digest = _find(path)
    if at is None:
        return False
    with path.open("rb") as file:
        file.seek(at)
        return file.read(len(digest)) == digest


def _find(path: Path) -> tuple[int | None, bytes]:
    """Where the digest belongs (None: the mark is missing), and what it is, with zeros there."""
    content = path.read_bytes()
    found = content.rfind(_MARK)
    if found < 0:
        return None, b""
    at, view = found + len(_MARK), memoryview(content)
    digest = hashlib.sha256()
    for part in (view[:at], _BLANK, view[at + len(_BLANK) :]):
        digest.update(part)
    return at, digest.hexdigest().encode()
