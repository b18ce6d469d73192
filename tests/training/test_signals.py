import os
import signal
import threading

import pytest

from nmt.training.signals import Interrupted, catch_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted(number: signal.Signals) -> None:
    with catch_signals() as interruption:
        interruption.check()
        os.kill(os.getpid(), number)
        assert interruption.signal == number
        with pytest.raises(Interrupted):
            interruption.check()


def test_the_second_signal_has_its_usual_effect(interruptible: None) -> None:
    with catch_signals():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("num_processes", ["1", "2"])
def test_under_torchrun_which_repeats_them_all_signals_are_notes(
    num_processes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", num_processes)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with catch_signals() as interruption:
            for _ in "12":
                os.kill(os.getpid(), signal.SIGTERM)
            assert interruption.signal == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("sent", [True, False])
def test_previous_handlers_are_restored(sent: bool) -> None:
    def handler(number: int, frame: object) -> None:
        """Do nothing."""

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with catch_signals():
            assert signal.getsignal(signal.SIGTERM) is not handler
            if sent:
                os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_signals_are_ignored_outside_the_main_thread() -> None:
    seen = []

    def work() -> None:
        with catch_signals() as interruption:
            seen.append(interruption.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
