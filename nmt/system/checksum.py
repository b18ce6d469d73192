"""A file that holds its own SHA-256, so that a corrupted copy is found."""

import hashlib
import os
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from nmt.system.untrusted_files import open_regular

_MARK: Final = b"sealed by nmt, SHA-256 "
_BLANK: Final = b"0" * 64

CHECKSUM_PLACEHOLDER: Final = (_MARK + _BLANK).decode()
"""Text that a file must hold for `write_checksum`: the digest replaces the zeros."""


def write_checksum(path: Path) -> None:
    """Write the digest of a file into it, where it holds `CHECKSUM_PLACEHOLDER`."""
    found = _find(path)
    assert found is not None, "it holds CHECKSUM_PLACEHOLDER"
    position, _, digest = found
    with path.open("r+b") as file:
        file.seek(position)
        file.write(digest)


def verify_checksum(path: Path) -> bool:
    """Return whether a file holds its digest, and has not changed since."""
    found = _find(path)
    return found is not None and found[1] == found[2]


def _find(path: Path) -> tuple[int, bytes, bytes] | None:
    """Return where the digest belongs, what is there, and what it must be; None without a mark.

    A file may be of any size: it is mapped, not read into memory.
    """
    with open_regular(path) as file:
        if not os.fstat(file.fileno()).st_size:  # which cannot be mapped
            return None
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            mark = content.rfind(_MARK)
            if mark < 0:
                return None
            start = mark + len(_MARK)
            end = start + len(_BLANK)
            with memoryview(content) as view:
                digest = hashlib.sha256(view[:start])
                digest.update(_BLANK)
                digest.update(view[end:])
            return start, content[start:end], digest.hexdigest().encode()
