"""Where results go: stdout, or a file that appears when it is complete."""

import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, TextIO, cast

from nmt.commands.gzip_members import GzipMembers
from nmt.console import print_notice
from nmt.errors import DataError
from nmt.files import partial_file, whole_file


@contextmanager
def open_output(path: Path | None, *, keep: int = 0) -> Iterator[TextIO]:
    """A text stream to write lines to, UTF-8, ended by line feeds; compressed for a name in .gz.

    Args:
        path: the file, written as by `open_binary_output`; None: stdout.
        keep: as there.

    Raises:
        DataError: the file cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    with open_binary_output(path, keep=keep) as file:
        if path.suffix != ".gz":
            with io.TextIOWrapper(file, "utf-8", "replace", newline="\n") as text:
                yield text
            return
        members = GzipMembers(file, is_begun=keep > 0)
        with io.TextIOWrapper(cast(BinaryIO, members), "utf-8", "replace", newline="\n") as text:
            yield text
            text.flush()
            members.finish()


@contextmanager
def open_binary_output(path: Path, *, keep: int = 0) -> Iterator[io.BufferedWriter]:
    """A stream to write bytes to.

    A file is written as `NAME.partial` beside it and takes its name in the end, so that a file that
    was there is whole until its successor is. Where the work breaks off, what was written stays
    under the partial name, for it may have taken hours.

    Args:
        path: the file.
        keep: bytes of the partial file that stay, where the work is gone on with.

    Raises:
        DataError: the file cannot be written.
    """
    # What a link points to is written, and the link stays. (os.path, for it never raises.)
    path = Path(os.path.realpath(path))
    if os.path.isdir(path):
        raise DataError(f"{path}: is a folder, where a file is to be written; give a file name")
    if is_special(path):
        with _open(path, path) as stream:  # not to be replaced
            yield stream
        return
    try:
        with (
            whole_file(path, keep_partial=True) as partial,
            _open(partial, path, mode="ab" if keep else "wb") as stream,
        ):
            yield stream
    except BaseException:
        if os.path.exists(partial_file(path)):
            print_notice(f"nmt: what was finished is in {partial_file(path)}")
        raise


def is_special(path: Path) -> bool:
    """Whether there is something that is no file: /dev/null, a named pipe, a folder."""
    return os.path.exists(path) and not os.path.isfile(path)  # (os.path, for it never raises)


def make_folder(path: Path) -> None:
    """A folder to write files into, made where it is missing: to complain before the work.

    Raises:
        DataError: it cannot be made, or not be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{path}: a file is in the way; give another folder") from None
    except OSError as error:
        raise DataError(f"{path}: cannot make the folder: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise DataError(f"{path}: no permission to write in this folder")


def refuse_same_file(
    paths: Mapping[str, Path | None], inputs: Iterable[str | Path | None] = ()
) -> None:
    """Two results cannot go to one file, nor a result to what is read: one would be lost.

    Args:
        paths: argument -> what was given for it; None: nothing.
        inputs: what is read; None: nothing.

    Raises:
        DataError: two of them are the same file (devices and pipes may be shared).
    """
    seen: dict[str, str] = {}
    read = {os.path.realpath(path) for path in inputs if path is not None}
    for argument, path in paths.items():
        if path is None or is_special(path):
            continue
        real = os.path.realpath(path)
        if real in read:
            raise DataError(f"{argument} {path}: is read, too; give another name")
        if real in seen:
            raise DataError(f"{seen[real]} and {argument} are both {path}: give two files")
        seen[real] = argument


def _open(path: Path, asked_for: Path, mode: Literal["wb", "ab"] = "wb") -> io.BufferedWriter:
    try:
        return path.open(mode)
    except FileNotFoundError:
        raise DataError(f"{asked_for}: its folder does not exist; make it first") from None
    except OSError as error:
        raise DataError(f"{asked_for}: cannot be written: {error.strerror}") from None
