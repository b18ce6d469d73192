"""Stdout and stderr of a command, and what a person reads there: warnings and durations."""

import io
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf
from typing import Final

ONCE: Final[Mapping[str, object]] = {"once": True}
"""`extra` of a log record whose text is shown once by each handler with a `OnceFilter`."""

_MOST_NAMED: Final = 10  # lines with warnings of one kind

# From how many seconds on a unit is used, its seconds and its name.
_UNITS: Final = ((-inf, 1, "s"), (100, 60, "min"), (6_000, 3_600, "h"), (172_800, 86_400, "days"))

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # by descriptor

logger = logging.getLogger(__name__)

# C0, C1 and DEL move the cursor or rename the window, and bidirectional controls show text in
# another order than it is in: names and values of a stranger may hold them.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def open_closed_streams() -> None:
    """Open what is closed of stdin, stdout and stderr as /dev/null, until the process ends.

    Otherwise the next file that is opened gets the free descriptor, and what a library prints to
    stderr goes into that file.
    """
    for descriptor, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
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


def escape_controls(text: str) -> str:
    r"""Write control characters as in Python's strings (``\x1b``); keep tabs and line feeds."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def print_notice(text: str) -> None:
    """Print something for the user on stderr, with control characters escaped."""
    print(escape_controls(text), file=sys.stderr)


class OnceFilter(logging.Filter):
    """Drops a record marked with `ONCE` whose text was shown before: files are read repeatedly."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is new, or not marked."""
        if not getattr(record, "once", False):
            return True
        text = record.getMessage()
        is_new = text not in self._shown
        self._shown.add(text)
        return is_new


class FirstWarnings:
    """Warnings of one kind about lines: the first ten are logged, then one says there are more.

    Args:
        more: the message that stands for all warnings after the first ten.
        extra: of the log records, as `ONCE`.
    """

    def __init__(self, more: str, extra: Mapping[str, object] | None = None) -> None:
        self._more = more
        self._extra = extra
        self._num_lines = 0

    def warn(self, message: str, *values: object) -> None:
        """Log what is wrong with a line, or that there are more such lines, or nothing."""
        self._num_lines += 1
        if self._num_lines <= _MOST_NAMED:
            logger.warning(message, *values, extra=self._extra)
        elif self._num_lines == _MOST_NAMED + 1:
            logger.warning("%s", self._more, extra=self._extra)


class EscapingFormatter(logging.Formatter):
    """A formatter whose lines hold no control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text, with control characters escaped."""
        return escape_controls(super().format(record))


@contextmanager
def log_on_stderr(level: int) -> Iterator[None]:
    """Show what the package logs while a command runs: warnings are marked, news are not.

    Args:
        level: of what is shown.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LogFormatter())
    handler.addFilter(OnceFilter())
    logger = logging.getLogger("nmt")
    before, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = propagate


class _LogFormatter(EscapingFormatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        return f"nmt: {record.levelname.lower()}: {text}"


def format_duration(seconds: float) -> str:
    """Round to a unit that gives one to three figures: `39 s`, `20 min`, `3.5 h`, `12 days`."""
    size, name = [(size, name) for least, size, name in _UNITS if seconds >= least][-1]
    number = seconds / size
    is_coarse = name in ("h", "days")
    return f"{number:.1f} {name}" if is_coarse and number < 9.95 else f"{number:,.0f} {name}"
