"""Workers that share a tool: order, errors, death."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import pytest
import torch

from nmt.core.errors import DataError, RunError
from nmt.distributed.worker_pool import WorkerPool


def scale(tool: torch.Tensor, number: int) -> float:
    return float(tool.sum()) * number


def refuse(tool: torch.Tensor, number: int) -> int:
    if number == 3:
        raise DataError(f"no {number}, please")
    return number


def die(tool: torch.Tensor, number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def test_results_are_in_the_order_of_the_jobs() -> None:
    with WorkerPool(torch.ones(3), 2) as workers:
        assert list(workers.map(scale, [(number,) for number in range(20)])) == [
            3.0 * number for number in range(20)
        ]
        assert list(workers.map(scale, [])) == []
        with pytest.raises(DataError, match="no 3, please"):
            list(workers.map(refuse, [(number,) for number in range(6)]))
        assert list(workers.map(scale, [(5,)])) == [15.0]  # and nothing is left of what went wrong


@pytest.mark.parametrize("ahead", [2, 4])
def test_jobs_are_taken_as_needed_and_another_map_may_run_meanwhile(ahead: int) -> None:
    taken = []

    def jobs() -> Iterator[tuple[int]]:
        for number in count():
            taken.append(number)
            yield (number,)

    with WorkerPool(torch.ones(3), 2, jobs_ahead=ahead) as workers:
        assert len(multiprocessing.active_children()) == 2
        results = workers.map(scale, jobs())
        for number in range(5):
            assert next(results) == 3.0 * number
            assert number < len(taken) <= number + 1 + 2 * ahead
            assert list(workers.map(scale, [(100 + number,)])) == [3.0 * (100 + number)]
        results.close()  # what was given out is wanted no more
        assert list(workers.map(scale, [(7,), (8,)])) == [21.0, 24.0]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"a worker died \(exit code -9; -9 .* a lack of memory\); use fewer processes"),
        ({"name": "an encoder", "remedy": "use 1"}, r"an encoder died \(exit .*\); use 1$"),
    ],
)
def test_death_of_a_worker_is_an_error_with_a_remedy(options: dict[str, str], message: str) -> None:
    with (
        WorkerPool(torch.ones(1), 2, **options) as workers,  # type: ignore[arg-type]
        pytest.raises(RunError, match=message),
    ):
        list(workers.map(die, [(1,)]))


def stumble(tool: torch.Tensor, number: int) -> int:
    return 1 // (number - number)


def keep(tool: torch.Tensor, load: bytes) -> object:
    return lambda: load


def test_results_before_an_error_in_the_jobs_are_returned() -> None:
    def jobs() -> Iterator[tuple[int]]:
        yield from ((number,) for number in range(20))
        raise DataError("line 21 is missing")

    with WorkerPool(torch.ones(1), 2) as workers:
        results = workers.map(scale, jobs())
        assert list(islice(results, 20)) == list(range(20))
        with pytest.raises(DataError, match="line 21"):
            next(results)
        with pytest.raises(AttributeError, match="local object"):
            list(workers.map(lambda tool: tool, [()]))
        assert list(workers.map(scale, [(3,)])) == [3]


def wait(tool: torch.Tensor, load: bytes) -> None:
    time.sleep(60)


def give_back(tool: torch.Tensor, load: bytes) -> bytes:
    return load


def test_exception_in_a_worker_is_raised_with_its_traceback() -> None:
    with WorkerPool(torch.ones(1), 1) as workers:
        with pytest.raises(RuntimeError, match=r"(?s)in a worker:.*stumble.*ZeroDivisionError"):
            list(workers.map(stumble, [(1,), (2,)]))
        with pytest.raises(RuntimeError, match="pickle"):
            list(workers.map(keep, [(b"x",)]))


ENDING = """
import multiprocessing, signal, sys, time, torch
from nmt.distributed.worker_pool import WorkerPool
sys.path.insert(0, {folder!r})
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
from test_worker_pool import die, give_back, wait
if __name__ == "__main__":
    with WorkerPool(torch.ones(1), 2) as workers:
        print(*[child.pid for child in multiprocessing.active_children()], flush=True)
        {work}
"""
MANY = "list(workers.map({job}, [(b'x' * 300_000,)] * 40))"
UNREAD = """results = workers.map(give_back, [(b'x' * 300_000,)] * 40)
        print(len(next(results)), flush=True)
        time.sleep(60)"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize(
    ("work", "way"),
    [
        (MANY.format(job="wait"), "interrupt"),
        (MANY.format(job="wait"), "interrupt at start"),
        (MANY.format(job="die"), "none"),
        (UNREAD, "kill"),
    ],
    ids=["interrupted", "interrupted at start", "a worker dies", "the parent is killed"],
)
def test_workers_end_soon_with_jobs_and_results_unread(work: str, way: str, tmp_path: Path) -> None:
    script = tmp_path / "ending.py"
    script.write_text(ENDING.format(folder=str(Path(__file__).parent), work=work))
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
        if way == "kill":
            assert process.stdout.readline() == "300000\n"
        time.sleep({"interrupt": 4, "kill": 1}.get(way, 0))
        if way.startswith("interrupt"):
            os.killpg(process.pid, signal.SIGINT)
        elif way == "kill":
            process.kill()
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert errors.count("Traceback") == (way != "kill"), "a worker prints nothing"
    deadline = time.monotonic() + 10
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(map(is_running, workers))
