"""Reading of files that strangers may have written: regular files only, and bounded in size.

A named pipe would block, a device never ends, and a sparse file of 20 GB is made in an instant.
Each is refused as an `OSError` whose `strerror` says what it is, so that whoever catches errors
of the system for a message of its own catches these as well.
"""

import errno
import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

MAX_JSON_BYTES: Final = 2**22
"""Default limit of a JSON file: parsed, the worst that fits takes about 100 MB of memory."""

_KINDS: Final = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: Path, max_bytes: int | None = None) -> BufferedReader:
    """Open a regular file for reading, without ever waiting for someone to write it.

    Args:
        path: the file; links are followed.
        max_bytes: refuse a larger file; None accepts any size.

    Raises:
        OSError: it cannot be opened, is not a regular file (`IsADirectoryError` for a folder), or
            is too large; `strerror` says which.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except ValueError:  # a NUL or half a surrogate pair in the name
        raise OSError(errno.EINVAL, "not a valid file name", str(path)) from None
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _refusal(path, "a socket, not a regular file") from None
        raise
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
            raise _refusal(path, f"{kind}, not a regular file")
        if max_bytes is not None and status.st_size > max_bytes:
            raise _too_large(path, max_bytes)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file of at most `max_bytes`.

    Raises:
        OSError: see `open_regular`.
    """
    with open_regular(path, max_bytes) as file:
        content = file.read(max_bytes + 1)  # it may have grown, or its size is not known
    if len(content) > max_bytes:
        raise _too_large(path, max_bytes)
    return content


def parse_json(content: bytes | str) -> Any:
    """Parse JSON; nesting that is too deep is an error like any other, and so is a key given twice.

    Raises:
        ValueError: not JSON, or not UTF-8.
    """
    text = content.decode() if isinstance(content, bytes) else content
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refusal(path: Path, reason: str) -> OSError:
    return OSError(errno.EINVAL, reason, str(path))


def _too_large(path: Path, max_bytes: int) -> OSError:
    return OSError(errno.EFBIG, f"larger than {max_bytes:,} bytes, the limit here", str(path))
