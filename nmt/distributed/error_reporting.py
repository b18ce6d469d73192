"""Reporting of a user error by one process of torchrun, only once across restarts.

torchrun restarts processes up to `--max-restarts` times, whatever the error. Its store keeps a user
error, so restarted processes find it, exit at once and print nothing.
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
_PATIENCE: Final = timedelta(seconds=2)  # time to wait for another process to report the error
_PAUSE: Final = 0.05  # seconds between two looks for the report
_TIMEOUT: Final = timedelta(seconds=10)


def find_reported_error(arguments: Sequence[str]) -> str | None:
    """Return the user error that ended this command earlier under the same torchrun, if any.

    Args:
        arguments: arguments of the command line.
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
    """Store an error, and return whether this process has to print it.

    Args:
        error: the error that ends the command.
        arguments: arguments of the command line.
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
    """Return whether to print an error: as the first process, or as the only one that has it.

    Args:
        store: torchrun's store.
        message: the error message.
        key: key to set to the message, for processes that are restarted.
        is_first: whether this process has rank 0.
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
    """Wait briefly for a key of another process; `Store.wait` would log a warning on a timeout."""
    end = time.monotonic() + _PATIENCE.total_seconds()
    while not store.check([key]):
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE)
    return True
