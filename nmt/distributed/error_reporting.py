"""A user's error among the processes of torchrun: told once, and nothing to start anew for.

torchrun has no way to be told so: it starts processes as often as `--max-restarts` says. Those that
come too late for an error that its store remembers end at once, with nothing said.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from torch.distributed import Store  # type: ignore[attr-defined]

from nmt.core.errors import TransientError, UserError
from nmt.distributed.process_group import torchrun_store
from nmt.system.torchrun import is_first

_MET: Final = "nmt/a user's error was met"
_PATIENCE: Final = timedelta(seconds=2)  # of those for whom another may speak
_PAUSE: Final = 0.05  # seconds between two looks for what it has left
_TIMEOUT: Final = timedelta(seconds=10)


def find_reported_error(words: Sequence[str]) -> str | None:
    """Return the user's error that has ended this command before, under the same torchrun.

    Args:
        words: of the command.
    """
    try:
        store = torchrun_store(_TIMEOUT)
        if store is None or not store.check([_told(words)]):
            return None
        return store.get(_told(words)).decode()
    except RuntimeError:  # it cannot be asked
        return None


def report_error(error: UserError, words: Sequence[str]) -> bool:
    """Leave a note of an error; whether it is this process that has to tell it.

    Args:
        error: of the user.
        words: of the command that it ends.
    """
    try:
        store = torchrun_store(_TIMEOUT)
        if store is None:
            return True
        if isinstance(error, TransientError):
            return not _appears(store, _MET)  # which may be why another is lost
        return claim_error(store, str(error), _told(words), is_first())
    except RuntimeError:
        return True


def claim_error(store: Store, message: str, told: str, is_first: bool) -> bool:
    """Whether a process has to tell an error: the first of all, or who alone has met it.

    Args:
        store: that of torchrun.
        message: the error.
        told: key for that it, or another, is told.
        is_first: whether it is the first of all.
    """
    key = f"nmt/a user's error: {message}"
    store.set(_MET, "")
    if not is_first and _appears(store, key):
        return False
    store.set(told, message)
    return bool(store.add(key, 1) == 1)


def _told(words: Sequence[str]) -> str:
    return f"nmt/a user's error ends {' '.join(words)}"


def _appears(store: Store, key: str) -> bool:
    """Whether another process sets a key soon; `Store.wait` would write a warning where not."""
    end = time.monotonic() + _PATIENCE.total_seconds()
    while not store.check([key]):
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE)
    return True
