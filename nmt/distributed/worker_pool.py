"""A pool of worker processes on this machine that share one tool.

This module does not import torch, which each worker would have to load: encoding does not need it.
"""

import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from itertools import islice
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar

from nmt.core.errors import TransientError
from nmt.distributed.remote_result import ItemsBeforeError, Job, RemoteResult
from nmt.system.plugins import ImportedFiles

Tool = TypeVar("Tool")
Result = TypeVar("Result")

_PATIENCE: Final = 5.0  # seconds to wait for a process to end by itself


class _Worker(NamedTuple):
    process: SpawnProcess
    connection: Connection


@dataclass(eq=False)
class WorkerPool(Generic[Tool]):
    """Processes that each have the same tool; a context manager that ends them.

    The processes are spawned, as a process that has used threads cannot be forked safely. Tensors
    of the tool are put in shared memory, once for all workers. For each worker, a thread sends it a
    job through a pipe and waits for the result. The workers end with the context, and when this
    process dies.

    Attributes:
        tool: tool that is passed to each job; must be picklable.
        number: number of workers; the main module of the program must be safe to import.
        jobs_ahead: jobs per worker that are taken before their results are read.
        name: name of a worker in messages.
        remedy: advice for the user if a worker has died.
    """

    tool: Tool
    number: int
    _: KW_ONLY
    jobs_ahead: int = 4
    name: str = "a worker"
    remedy: str = "use fewer processes"

    def __post_init__(self) -> None:
        self._owner = os.getpid()
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._threads = ThreadPoolExecutor(self.number, thread_name_prefix="workers")

    def __enter__(self) -> Self:
        resource_tracker.ensure_running()  # or starting the first process would unblock Ctrl-C
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # blocked in the workers
        try:
            try:
                for _ in range(self.number):
                    self._workers.append(_start(self.tool))
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)  # raises a pending Ctrl-C
        except BaseException:
            self.__exit__()
            raise
        self._idle.extend(self._workers)
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.process.terminate()
        self._threads.shutdown(cancel_futures=True)  # their workers have ended
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()

    def map(self, function: Callable[..., Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Yield the function of the tool and each job, in the order of the jobs.

        The workers compute while the caller does something else, such as another `map`. Jobs are
        taken as they are needed. If iterating over `jobs` raises an error, it is raised after the
        results of earlier jobs.

        Args:
            function: module-level function, called with the tool and the elements of a job.
            jobs: picklable arguments of each job; started in order, so put the longest jobs first.

        Raises:
            TransientError: a worker died.
            UserError: the function raised it; that of the first such job is raised.
            RuntimeError: the function raised another exception, whose traceback is in the message;
                or this is a forked child, which cannot use the workers of its parent.
            Exception: raised by iterating over the jobs or by pickling them.
        """
        if os.getpid() != self._owner:
            raise RuntimeError(
                f"the workers belong to process {self._owner}, not to its fork {os.getpid()}; "
                "start others here"
            )
        before_error = ItemsBeforeError(jobs)
        rest = iter(before_error)
        pending: deque[Future[RemoteResult]] = deque()
        try:
            while True:
                for job in islice(rest, self.jobs_ahead * self.number - len(pending)):
                    packed = pickle.dumps((function, job))
                    pending.append(self._threads.submit(self._request, packed))
                if not pending:
                    break
                result = pending.popleft().result()
                yield pickle.loads(result.unwrap(self.name))
            before_error.raise_error()
        finally:
            for future in pending:
                future.cancel()

    def _request(self, packed: bytes) -> RemoteResult:
        """Send a job to an idle worker and wait for it; runs in one thread per worker."""
        worker = self._idle.pop()
        try:
            worker.connection.send_bytes(packed)
            result: RemoteResult = worker.connection.recv()
            return result
        except (EOFError, OSError):
            worker.process.join(_PATIENCE)
            raise TransientError(
                f"{self.name} died (exit code {worker.process.exitcode}; -9 often means a lack of "
                f"memory); {self.remedy}"
            ) from None
        finally:
            self._idle.append(worker)


def _start(tool: Any) -> _Worker:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(ImportedFiles(), theirs, tool), daemon=True)
    process.start()
    theirs.close()  # or the pipe would not close when the process ends
    return _Worker(process, ours)


def _work(plugins: ImportedFiles, connection: Connection, tool: Any) -> None:
    """Compute jobs until the parent closes the pipe or dies; `plugins` must come before `tool`."""
    with suppress(EOFError, ConnectionError), connection:
        while True:
            function, job = pickle.loads(connection.recv_bytes())
            connection.send(RemoteResult.capture(_call, function, tool, job))


def _call(function: Callable[..., Any], tool: Any, job: Job) -> bytes:
    """Return the pickled result; a result that cannot be pickled is an error of the job."""
    return pickle.dumps(function(tool, *job))
