"""Stdin, stdout and stderr of a command: closed ones, other encodings, readers that have gone."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # by descriptor


def open_closed_streams() -> None:
    """Open what is closed of stdin, stdout and stderr as /dev/null, until the process ends.

    Otherwise the next file that is opened gets the free descriptor, and what a library prints to
    stderr goes into that file.
    """
    for descriptor, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is not None:
            continue
        opened = os.open(os.devnull, os.O_RDWR)  # which takes the lowest that is free
        os.set_inheritable(opened, opened == descriptor)
        stream = os.fdopen(opened, mode, encoding="utf-8", errors="replace", closefd=False)
        setattr(sys, name, stream)


@contextmanager
def stdout_in_utf8() -> Iterator[None]:
    """Write what Python's strings can hold, and the same bytes everywhere."""
    stream = sys.stdout
    if isinstance(stream, io.TextIOWrapper):  # a notebook's, or a test's, may be another kind
        before = (stream.encoding, stream.errors)
        stream.reconfigure(encoding="utf-8", errors="replace", newline="\n")
        try:
            yield
        finally:
            if not stream.closed:
                stream.reconfigure(encoding=before[0], errors=before[1])
    else:
        yield


def discard_stdout() -> bool:
    """Give up what stdout still holds: Python writes it at its end, and must not fail again.

    Returns:
        Whether stdout could not be written.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False
