"""Files: atomic writing, bounded reading, and checksums inside files.

A file or folder is written under a temporary name, then renamed. A reader finds the previous
content until the new one is complete. Names in the same folder:

    NAME.partial    a file that is being written
    NAME.state      fingerprint of everything that determines NAME, if it can be resumed
    NAME.new        a folder that is being written
    NAME.old        the previous folder, for the moment between two renames

Untrusted files are read only if they are regular files of bounded size. A named pipe would block, a
device never ends, and a sparse file of 20 GB is made in an instant. Each is refused with an
`OSError`, as by the system.
"""

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Final

# Default limit of a JSON file; the worst file of this size takes about 100 MB when parsed.
MAX_JSON_BYTES: Final = 2**22

_MARK: Final = b"sealed by nmt, SHA-256 "
_BLANK: Final = b"0" * 64

# Text that a file must hold for `write_checksum`: the digest replaces the zeros.
CHECKSUM_PLACEHOLDER: Final = (_MARK + _BLANK).decode()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to, which is renamed to `path` when the `with` ends.

    Args:
        path: path of the file; an existing file is untouched until then, and after an exception.
    """
    partial = free_partial_path(path)
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        # os.path.exists never raises, even if the name is not a valid one.
        if os.path.exists(partial):
            partial.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically and flush it; a link or a pipe at its path is replaced."""
    with atomic_write(path) as partial:
        write_flushed(partial, text.encode())


def partial_path(path: Path) -> Path:
    """Return the path of a file while it is being written."""
    return path.with_name(f"{path.name}.partial")


def state_file(path: Path) -> Path:
    """Return the path of the state of an output while it is written, for `--resume`."""
    return path.with_name(f"{path.name}.state")


def free_partial_path(path: Path) -> Path:
    """Return `partial_path`, after removing a pipe or a link at this path.

    Writing to a pipe would block, and a link may lead to somebody else's file.
    """
    partial = partial_path(path)
    if os.path.islink(partial) or (os.path.exists(partial) and not os.path.isfile(partial)):
        partial.unlink()
    return partial


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write into, which is renamed to `folder` when the `with` ends.

    Args:
        folder: path of the folder, created with its parents; an existing folder is untouched until
            then, and after an exception.
    """
    fresh, previous = sibling_folders(folder)
    shutil.rmtree(fresh, ignore_errors=True)  # left by a process that was killed
    fresh.mkdir(parents=True)
    try:
        yield fresh
        flush(fresh)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if folder.exists():
        shutil.rmtree(previous, ignore_errors=True)
        folder.rename(previous)
    fresh.rename(folder)
    flush(folder.parent)
    shutil.rmtree(previous, ignore_errors=True)


def sibling_folders(folder: Path) -> tuple[Path, Path]:
    """Return the path of a folder while it is being written, and the path of the previous one."""
    return folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")


def lock(descriptor: int) -> bool:
    """Lock an open file or folder for this process, until it is closed or the process ends.

    Returns:
        Whether it is locked now; False if another process has locked it. On a file system without
        locks, always True.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return not isinstance(error, BlockingIOError)
    return True


def refuse_nul(text: str) -> str:
    """Return the text; raise a `ValueError` if the system cannot represent it."""
    if "\0" in text:
        raise ValueError("must not contain NUL characters")
    return text


def expand_home(path: str) -> str:
    """Return a path with `~` replaced; raise a `ValueError` if it has a variable."""
    variable = re.search(r"\$(\w+|\{\w+\})", path)
    if variable is not None:
        message = f"{path!r}: {variable[0]} is not expanded; write the path itself, or ~ for home"
        raise ValueError(message)
    return os.path.expanduser(path)


def is_missing(path: Path) -> bool:
    """Return whether a path does not exist; False if the system cannot tell."""
    try:
        path.stat()
    except (OSError, ValueError) as error:
        return isinstance(error, FileNotFoundError)
    return False


def write_flushed(path: Path, content: bytes) -> None:
    """Write a file and flush it to the disk, so that it survives a power failure."""
    path.write_bytes(content)
    flush(path)


def flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path, max_bytes: int | None = None) -> BufferedReader:
    """Open a regular file for reading, without ever blocking.

    Args:
        path: the file; links are followed.
        max_bytes: refuse a larger file; None accepts any size.

    Raises:
        OSError: it cannot be opened, is not a regular file (`IsADirectoryError` for a folder), or
            is too large; `strerror` says which.
    """
    try:
        file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115 - the caller closes it
    except ValueError:  # a NUL or half a surrogate pair in the name
        raise OSError(errno.EINVAL, "not a valid file name", str(path)) from None
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if max_bytes is not None and status.st_size > max_bytes:
        file.close()
        raise _too_large(path, max_bytes)
    return file


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file of at most `max_bytes`.

    Raises:
        OSError: see `open_regular`.
    """
    with open_regular(path, max_bytes) as file:
        content = file.read(max_bytes + 1)  # it may have grown, or its size is unknown
    if len(content) > max_bytes:
        raise _too_large(path, max_bytes)
    return content


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a regular file, in hexadecimal digits."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse_json(content: bytes | str) -> Any:
    """Parse JSON, and refuse duplicate keys.

    Raises:
        ValueError: not JSON, not UTF-8, nested too deeply, or a key occurs twice.
    """
    text = content.decode() if isinstance(content, bytes) else content
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _too_large(path: Path, max_bytes: int) -> OSError:
    return OSError(errno.EFBIG, f"larger than {max_bytes:,} bytes, the limit here", str(path))


def write_checksum(path: Path) -> None:
    """Write the digest of a file into it, in place of `CHECKSUM_PLACEHOLDER`."""
    found = _find(path)
    assert found is not None, "it holds CHECKSUM_PLACEHOLDER"
    position, _, digest = found
    with path.open("r+b") as file:
        file.seek(position)
        file.write(digest)


def verify_checksum(path: Path) -> bool:
    """Return whether a file contains its digest, and is unchanged since it was written."""
    found = _find(path)
    return found is not None and found[1] == found[2]


def _find(path: Path) -> tuple[int, bytes, bytes] | None:
    """Return the position of the digest, the digest found, and the one expected; None if no mark.

    The file is memory-mapped, as it may be of any size.
    """
    with open_regular(path) as file:
        if not os.fstat(file.fileno()).st_size:  # an empty file cannot be mapped
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
