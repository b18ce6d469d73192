"""Where results go: stdout, or a file that appears when it is complete."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from nmt.errors import DataError


@contextmanager
def open_output(path: Path | None) -> Iterator[TextIO]:
    """A text stream to write lines to, UTF-8, ended by line feeds.

    A file is written as `NAME.partial` beside it and takes its name in the end, so that a file that
    was there is whole until its successor is. Where the work breaks off, what was written stays
    under the partial name, for it may have taken hours.

    Args:
        path: the file; None: stdout.

    Raises:
        DataError: the file cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    path = path.resolve()  # what a link points to is written, and the link stays
    if path.exists() and not path.is_file() and not path.is_dir():
        with _open(path, path) as stream:  # /dev/null, a named pipe: not to be replaced
            yield stream
        return
    if path.is_dir():
        raise DataError(f"{path}: is a folder, where a file is to be written; give a file name")
    partial = path.with_name(f"{path.name}.partial")
    try:
        with _open(partial, path) as stream:
            yield stream
    except BaseException:
        if partial.exists() and partial.stat().st_size:
            print(f"nmt: what was finished is in {partial}", file=sys.stderr)
        else:
            partial.unlink(missing_ok=True)
        raise
    os.replace(partial, path)


def _open(path: Path, asked_for: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", errors="replace", newline="\n")
    except FileNotFoundError:
        raise DataError(f"{asked_for}: its folder does not exist; make it first") from None
    except OSError as error:
        raise DataError(f"{asked_for}: cannot be written: {error.strerror}") from None
