"""Files: written whole or not at all, read with bounds, checked against a checksum inside them.

A file or folder is written under a temporary name, then renamed. A reader finds the previous
content until the new one is complete. Names in the same folder:

    NAME.partial    a file that is being written
    NAME.state      what decides on a file that is being written, where it can be resumed
    NAME.new        a folder that is being written
    NAME.old        the previous folder, for the moment between two renames

What strangers may have written is read only from regular files of bounded size: a named pipe would
block, a device never ends, and a sparse file of 20 GB is made in an instant. Each is refused by an
`OSError`, as the system refuses files.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Final

MAX_JSON_BYTES: Final = 2**22
"""Default limit of a JSON file: parsed, the worst that fits takes about 100 MB of memory."""

_MARK: Final = b"sealed by nmt, SHA-256 "
_BLANK: Final = b"0" * 64

CHECKSUM_PLACEHOLDER: Final = (_MARK + _BLANK).decode()
"""Text that a file must hold for `write_checksum`: the digest replaces the zeros."""


@contextmanager
def atomic_write(path: Path, *, keep_partial: bool = False) -> Iterator[Path]:
    """Yield where to write a file, which is renamed to `path` when the `with` ends.

    Args:
        path: what is there is untouched until then, and for good if an exception is raised.
        keep_partial: keep what was written before an exception, if anything was.
    """
    partial = free_partial_path(path)
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        # (os.path, for it never raises: the name may be one that cannot be.)
        if os.path.exists(partial) and not (keep_partial and os.path.getsize(partial)):
            partial.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, down to the disk; a link or a pipe at its path is replaced."""
    with atomic_write(path) as partial:
        write_flushed(partial, text.encode())


def partial_path(path: Path) -> Path:
    """Return where a file is while it is being written."""
    return path.with_name(f"{path.name}.partial")


def state_file(path: Path) -> Path:
    """Return where the state of an output lies while it is written, for `--resume`."""
    return path.with_name(f"{path.name}.state")


def free_partial_path(path: Path) -> Path:
    """Return `partial_path`, after a pipe or a link that is there has been removed.

    The pipe would block whoever writes there, and the link lead to a file of someone else.
    """
    partial = partial_path(path)
    if os.path.islink(partial) or (os.path.exists(partial) and not os.path.isfile(partial)):
        partial.unlink()
    return partial


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write into, which is renamed to `folder` when the `with` ends.

    Args:
        folder: what is there is untouched until then, and for good if an exception is raised;
            parents are made.
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
    """Return where a folder is while it is being written, and where the previous one is moved."""
    return folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")


def lock(descriptor: int) -> bool:
    """Lock an open file or folder for this process, until it is closed or the process ends.

    Returns:
        Whether it is locked now: False where another process has it. On a file system without
        locks it always succeeds.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return not isinstance(error, BlockingIOError)
    return True


def is_missing(path: Path) -> bool:
    """Return whether nothing is there; False where that cannot be known without opening it."""
    try:
        path.stat()
    except (OSError, ValueError) as error:
        return isinstance(error, FileNotFoundError)
    return False


def write_flushed(path: Path, content: bytes) -> None:
    """Write a file, down to the disk: power that fails later does not take it away."""
    path.write_bytes(content)
    flush(path)


def flush(path: Path) -> None:
    """Make the system write a file, or the entries of a folder, to the disk now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        content = file.read(max_bytes + 1)  # it may have grown, or its size is not known
    if len(content) > max_bytes:
        raise _too_large(path, max_bytes)
    return content


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a regular file, in hexadecimal digits."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def _too_large(path: Path, max_bytes: int) -> OSError:
    return OSError(errno.EFBIG, f"larger than {max_bytes:,} bytes, the limit here", str(path))


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
