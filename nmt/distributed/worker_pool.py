"""Several processes that compute batches with one model, whose weights they share."""

import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from queue import Empty
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import torch
from torch import multiprocessing

from nmt.core.errors import TransientError
from nmt.distributed.remote_result import Answer, answer, result_of
from nmt.distributed.until_error import UntilError
from nmt.system.allocator import FOR_SEARCH, keep_freed_memory, limit_kernel_caches

Tool = TypeVar("Tool")
Result = TypeVar("Result")

_PATIENCE: Final = 1.0  # seconds after which it is looked whether the others are alive
_AHEAD: Final = 4  # jobs for each process that are given out and not yet read


class WorkerPool(Generic[Tool]):
    """Processes that each have the same tool; a context manager that ends them.

    They are started afresh (spawned), as a process that has used threads cannot be copied safely.
    Tensors of the tool go to shared memory, and are there once.

    Args:
        tool: what the jobs are done with; can be pickled.
        number: of processes.
        num_threads: of torch, in each.
    """

    def __init__(self, tool: Tool, number: int, *, num_threads: int = 1) -> None:
        assert number >= 1
        context = multiprocessing.get_context("spawn")
        try:
            self._tasks: Any = context.Queue()
            self._results: Any = context.Queue()
        except OSError as error:
            if sys.platform == "linux":
                error.filename = "/dev/shm"  # where the semaphores of a queue are
            raise
        self._processes: list[BaseProcess] = [
            context.Process(
                target=_work, args=(tool, self._tasks, self._results, num_threads), daemon=True
            )
            for _ in range(number)
        ]
        self._owner = os.getpid()
        self._num_given = 0
        self._awaited: set[int] = set()  # places of jobs
        self._answers: dict[int, Answer] = {}  # of those that were done before their turn

    def __enter__(self) -> Self:
        for process in self._processes:
            process.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        # What still lies in the queue will be read by nobody, and must not be waited for.
        self._tasks.cancel_join_thread()
        self._tasks.close()

    def map(
        self, function: Callable[..., Result], jobs: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """What the function makes of the tool and each job, in the order of the jobs.

        The processes compute while the caller does something else with what has come, another `map`
        too. Jobs are taken as they are needed, some for each process ahead; an error in taking one
        is raised after the results of those before it. What is given out is computed, though
        the caller may want no more.

        Args:
            function: of a module's top level, called with the tool and what is in a job.
            jobs: begun in this order, so put the longest first.

        Raises:
            TransientError: a process has died.
            UserError: what the function has raised, the first of the jobs.
            RuntimeError: the function has raised another exception; its traceback is in it. Or
                this is a forked child: the workers send their results to the parent.
            Exception: of the jobs themselves, those too that cannot be pickled.
        """
        if os.getpid() != self._owner:
            raise RuntimeError(
                f"the workers belong to process {self._owner}, and this is a forked child, process "
                f"{os.getpid()}; use the translator without workers here, or start workers of its "
                "own (with_workers)"
            )
        most = _AHEAD * len(self._processes)
        rest = UntilError(jobs)
        given: deque[int] = deque()
        try:
            given.extend(self._give(function, job) for job in islice(rest, most))
            while given:
                result = self._take(given[0])
                given.popleft()
                yield result
                given.extend(self._give(function, job) for job in islice(rest, 1))
            rest.raise_error()
        finally:
            # What is not wanted any more must not be left for the next call.
            for place in given:
                self._awaited.discard(place)
                self._answers.pop(place, None)

    def _give(self, function: Callable[..., Any], job: tuple[Any, ...]) -> int:
        """Give out a job; its place."""
        place = self._num_given
        packed = pickle.dumps((place, function, job))  # the queue would only print what it cannot
        self._num_given += 1
        self._awaited.add(place)
        self._tasks.put(packed)
        return place

    def _take(self, place: int) -> Any:
        """What has come of a job."""
        while place not in self._answers:
            done, come = self._next()
            if done in self._awaited:
                self._answers[done] = come
        self._awaited.remove(place)
        return pickle.loads(result_of(self._answers.pop(place), "a worker"))

    def _next(self) -> tuple[int, Answer]:
        while True:
            try:
                come: tuple[int, Answer] = self._results.get(timeout=_PATIENCE)
                return come
            except Empty:
                for process in self._processes:
                    if not process.is_alive():
                        raise TransientError(
                            f"a worker has died (exit code {process.exitcode}; -9 is often a lack "
                            "of memory): use fewer --workers, or a smaller --batch-tokens"
                        ) from None


def _work(tool: Any, tasks: Any, results: Any, num_threads: int) -> None:
    """Do jobs until the process is ended, or its parent is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told as well, and ends this one
    torch.set_num_threads(num_threads)
    keep_freed_memory()
    limit_kernel_caches(FOR_SEARCH)
    parent = parent_process()
    while parent is not None and parent.is_alive():
        try:
            place, function, job = pickle.loads(tasks.get(timeout=_PATIENCE))
        except Empty:
            continue
        results.put((place, answer(_pickled, function, tool, job)))
    results.cancel_join_thread()  # nobody reads any more, and what is full would keep it for ever


def _pickled(function: Callable[..., Any], tool: Any, job: tuple[Any, ...]) -> bytes:
    """What the function makes of a job; pickled here, as what cannot be is an error of the job."""
    return pickle.dumps(function(tool, *job))
