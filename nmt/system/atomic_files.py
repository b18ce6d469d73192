"""Files and folders that are whole or not there: written beside their place, then renamed.

Whoever reads the place finds the previous content until the new one is complete. Beside it may be:

    NAME.partial    a file that is being written
    NAME.new        a folder that is being written
    NAME.old        the previous folder, for the moment between two renames
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path, *, keep_partial: bool = False) -> Iterator[Path]:
    """Where to write a file, which takes its place when the `with` ends.

    Args:
        path: its place. What is there is untouched until then, and for good where the `with` is
            left by an exception.
        keep_partial: in that case, keep what was written beside it, if anything was.
    """
    partial = partial_path(path)
    # A pipe in its place would block, and a link lead to a file of someone else.
    if os.path.islink(partial) or (os.path.exists(partial) and not os.path.isfile(partial)):
        partial.unlink()
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        # (os.path, for it never raises: the name may be one that cannot be.)
        if os.path.exists(partial) and not (keep_partial and os.path.getsize(partial)):
            partial.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all; a link or a pipe in its place is replaced."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def partial_path(path: Path) -> Path:
    """Where a file is while it is being written."""
    return path.with_name(f"{path.name}.partial")


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to write files into, which takes its place when the `with` ends.

    Args:
        folder: its place; parents are made. What is there is untouched until then, and for good
            where the `with` is left by an exception.
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
    """Where a folder is while it is being written, and where the previous one goes meanwhile."""
    return folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")


def lock(descriptor: int) -> bool:
    """Lock an open file or folder for this process, until it is closed or the process ends.

    Returns:
        Whether it is locked now: False where another process has it. On a file system without
        locks it always succeeds.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_missing(path: Path) -> bool:
    """Whether nothing is there; what may not be looked at is left to whoever opens it."""
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
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
