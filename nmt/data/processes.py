"""A function of many jobs, computed by processes of their own; what it gives comes in order."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Final, TypeVar

from nmt.core.errors import TransientError
from nmt.distributed.remote_result import Answer, answer, result_of

Job = TypeVar("Job")
Result = TypeVar("Result")

_AHEAD: Final = 2  # jobs for each process that are taken and not yet read
_PATIENCE: Final = 5.0  # seconds that a process may take to end by itself


def map_in_processes(
    function: Callable[[Job], Result], jobs: Iterable[Job], number: int
) -> Iterator[Result]:
    """What a function makes of each job, in the order of the jobs.

    Few jobs and results are in memory at a time. The processes end with the iterator, also where it
    is closed before its end, and when the one that reads is no more.

    Args:
        function: can be pickled; imports little, as each process imports it again.
        jobs: can be pickled; taken as they are needed.
        number: of processes; the program's main module must be safe to import.

    Raises:
        TransientError: a process has died.
        UserError: what the function has raised, the first of the jobs.
        RuntimeError: the function has raised another exception; its traceback is in it.
    """
    workers: list[_Worker] = []
    executor = ThreadPoolExecutor(number, thread_name_prefix="processes")
    try:
        with _no_interruption():
            for _ in range(number):
                workers.append(_start(function))
        idle = list(workers)
        rest = iter(jobs)
        pending: deque[Future[Answer]] = deque()
        while True:
            for job in islice(rest, _AHEAD * number - len(pending)):
                pending.append(executor.submit(_ask, idle, job))
            if not pending:
                return
            yield result_of(pending.popleft().result(), "a process that encodes text")
    finally:
        for worker in workers:
            worker.process.terminate()
        executor.shutdown(cancel_futures=True)  # what they waited for has ended
        for worker in workers:
            worker.process.join()
            worker.connection.close()


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    connection: Connection


@contextmanager
def _no_interruption() -> Iterator[None]:
    """Ctrl-C comes afterwards, and never to processes that are started within."""
    resource_tracker.ensure_running()  # which is started with the first of them, and ends all this
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(function: Callable[[Any], Any]) -> _Worker:
    context = multiprocessing.get_context("spawn")  # a fork would copy locks of our threads
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, function), daemon=True)
    process.start()
    theirs.close()  # or the end of the process would not be the end of the pipe
    return _Worker(process, ours)


def _ask(idle: list[_Worker], job: object) -> Answer:
    """Have a process do a job; in a thread, of which there are as many."""
    worker = idle.pop()
    try:
        worker.connection.send(job)
        answered: Answer = worker.connection.recv()
        return answered
    except (EOFError, OSError):
        worker.process.join(_PATIENCE)
        raise TransientError(
            f"a process that encodes text has died (exit code {worker.process.exitcode}; -9 is "
            "often a lack of memory): set data.encoding_processes to a smaller number; 1 starts "
            "none"
        ) from None
    finally:
        idle.append(worker)


def _work(connection: Connection, function: Callable[[Any], Any]) -> None:
    """What a process does: jobs, until there is nobody to have them from."""
    with suppress(EOFError, ConnectionError), connection:
        while True:
            connection.send(answer(function, connection.recv()))
