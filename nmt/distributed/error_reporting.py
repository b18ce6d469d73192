"""Reporting of a user error by one process of torchrun, and its memory across restarts.

torchrun cannot be asked not to restart: it starts processes again as often as `--max-restarts`
says. Those started after an error that its store remembers exit at once and print nothing.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from torch.distributed import Store  # type: ignore[attr-defined]

from nmt.core.errors import TransientError, UserError
from nmt.distributed.process_group import torchrun_store
from nmt.system.process import is_first

_ANY_ERROR: Final = "nmt/a user's error was met"
_PATIENCE: Final = timedelta(seconds=2)  # of a process whose error another may report
_PAUSE: Final = 0.05  # seconds between two looks for the report
_TIMEOUT: Final = timedelta(seconds=10)


def find_reported_error(arguments: Sequence[str]) -> str | None:
    """Return the user error that ended a command before, under the same torchrun.

    Args:
        arguments: of the command line.
    """
    key = _reported(arguments)
    try:
        store = torchrun_store(_TIMEOUT)
        if store is None or not store.check([key]):
            return None
        return store.get(key).decode()
    except RuntimeError:  # the store cannot be reached
        return None


def report_error(error: UserError, arguments: Sequence[str]) -> bool:
    """Remember an error, and return whether this process is the one that has to print it.

    Args:
        error: ends the command.
        arguments: of the command line.
    """
    try:
        store = torchrun_store(_TIMEOUT)
        if store is None:
            return True
        if isinstance(error, TransientError):  # perhaps because another process met an error
            return not _appears(store, _ANY_ERROR)
        return claim_error(store, str(error), _reported(arguments), is_first())
    except RuntimeError:
        return True


def claim_error(store: Store, message: str, key: str, is_first: bool) -> bool:
    """Return whether to print an error: as the first of all processes, or the only one to meet it.

    Args:
        store: that of torchrun.
        message: the error.
        key: set to the message, for processes that are started later.
        is_first: whether this is the first process of all.
    """
    count = f"nmt/a user's error: {message}"
    store.set(_ANY_ERROR, "")
    if not is_first and _appears(store, count):
        return False
    store.set(key, message)
    return bool(store.add(count, 1) == 1)


def _reported(arguments: Sequence[str]) -> str:
    return f"nmt/a user's error ends {' '.join(arguments)}"


def _appears(store: Store, key: str) -> bool:
    """Wait briefly for a key of another process; `Store.wait` logs a warning where none comes."""
    end = time.monotonic() + _PATIENCE.total_seconds()
    while not store.check([key]):
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE)
    return True
