"""Processes that do jobs: order, errors, and that none is left."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nmt.core.errors import DataError, RunError
from nmt.data.processes import map_in_processes


def work(number: int) -> int:
    if number == 100:
        raise DataError("no 100, please")
    if number == 200:
        return number // 0
    if number == 300:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01 * (number % 3))
    return number * number


def test_results_come_in_the_order_of_the_jobs_which_are_taken_as_they_are_needed() -> None:
    taken = []

    def jobs() -> Iterator[int]:
        for number in range(90):
            taken.append(number)
            yield number

    results = map_in_processes(work, jobs(), 2)
    for number in range(30):
        assert next(results) == number * number
        assert len(taken) <= number + 1 + 4, "two for each process, and no more"
    assert len(multiprocessing.active_children()) == 2
    results.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("job", "error", "message"),
    [
        (100, DataError, r"^no 100, please$"),
        (200, RuntimeError, r"(?s)in a process that encodes text:.*in work.*ZeroDivisionError"),
        (
            300,
            RunError,
            r"a process that encodes text has died \(exit code -9; -9 is often a lack of memory\): "
            r"set data\.encoding_processes to a smaller number; 1 starts none",
        ),
    ],
)
def test_errors_are_raised_after_what_came_before(
    job: int, error: type[Exception], message: str
) -> None:
    results = map_in_processes(work, [1, 2, job, 4], 1)
    assert [next(results), next(results)] == [1, 4]
    with pytest.raises(error, match=message):
        next(results)
    assert not multiprocessing.active_children()


ENDING = """
import multiprocessing, os, signal, sys
from itertools import count
from nmt.data.processes import map_in_processes
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
if __name__ == "__main__":
    results = map_in_processes(bytes, count(300_000), 2)
    next(results)
    print(*[process.pid for process in multiprocessing.active_children()], flush=True)
    for _ in results:
        pass
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGKILL])
def test_all_end_when_the_first_is_interrupted_or_killed(
    signal_: signal.Signals, tmp_path: Path
) -> None:
    script = tmp_path / "ending.py"
    script.write_text(ENDING)
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        workers = [int(pid) for pid in process.stdout.readline().split()]
        assert len(workers) == 2
        if signal_ == signal.SIGINT:
            os.killpg(process.pid, signal_)  # as a terminal does it
        else:
            process.send_signal(signal_)
        assert process.wait(timeout=20) == -signal_
        errors = process.stderr.read()
    assert errors.count("Traceback") == (signal_ == signal.SIGINT), errors
    deadline = time.monotonic() + 10
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, workers))
