"""Graceful handling of Ctrl-C and SIGTERM: finish the update, save, and exit."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nmt.system.process import is_torchrun_launched

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """Raised by `Interruption.check` after a stop was requested."""


class Interruption:
    """A request to stop: the signal that was received, if any."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def check(self) -> None:
        """Raise `Interrupted` if a stop was requested."""
        if self.signal is not None:
            raise Interrupted


@contextmanager
def catch_signals() -> Iterator[Interruption]:
    """Record the first signal as a request to stop; the second one has its usual effect.

    Under torchrun, all signals are only recorded: torchrun forwards signals that Slurm, for
    example, has already sent to all processes. (It kills processes after 30 seconds.) The previous
    handlers are restored at the end.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption  # only the main thread can set handlers
        return

    def note(number: int, frame: FrameType | None) -> None:
        interruption.signal = number
        if not is_torchrun_launched():
            put_back()

    def put_back() -> None:
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {each: signal.getsignal(each) for each in SIGNALS}
    for each in SIGNALS:
        signal.signal(each, note)
    try:
        yield interruption
    finally:
        put_back()
