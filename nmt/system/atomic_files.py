"""Atomic writing of files and folders: under a temporary name, then renamed.

A reader finds the previous content until the new one is complete. Names in the same folder:

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
    """Yield where to write a file, which is renamed to `path` when the `with` ends.

    Args:
        path: what is there is untouched until then, and for good if an exception is raised.
        keep_partial: keep what was written before an exception, if anything was.
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
    """Write a text file atomically; a link or a pipe at its path is replaced."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def partial_path(path: Path) -> Path:
    """Return where a file is while it is being written."""
    return path.with_name(f"{path.name}.partial")


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
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_missing(path: Path) -> bool:
    """Return whether nothing is there; False where that cannot be known without opening it."""
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
