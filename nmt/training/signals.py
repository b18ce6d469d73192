"""Ctrl-C and SIGTERM: finish what is at hand, save, and go."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from nmt.system.process import is_torchrun_launched

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """Raised by `Interruption.check`: somebody asked for an end."""


class Interruption:
    """Whether somebody asked for an end, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def check(self) -> None:
        """Raise `Interrupted` where an end was asked for."""
        if self.signal is not None:
            raise Interrupted


@contextmanager
def catch_signals() -> Iterator[Interruption]:
    """Turn the first signal into a note, which the loop reads; the second one has its usual effect.

    Not so under torchrun, which passes on what Slurm, say, has sent to all processes already: there
    all are notes (it kills those that take longer than 30 seconds). The handlers that were there
    are put back at the end.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption  # handlers can be set by the main thread only
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
