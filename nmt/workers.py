"""Several processes that compute batches with one model, whose weights they share."""

import pickle
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from queue import Empty
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

import torch
from torch import multiprocessing

from nmt.allocator import keep_few_kernels, keep_freed_memory
from nmt.errors import RunError, UserError

Tool = TypeVar("Tool")
Result = TypeVar("Result")

_PATIENCE: Final = 1.0  # seconds after which it is looked whether the others are alive
_AHEAD: Final = 2  # jobs for each process that wait in the queue


class Workers(Generic[Tool]):
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
        self._tasks: Any = context.Queue()
        self._results: Any = context.Queue()
        self._processes: list[BaseProcess] = [
            context.Process(
                target=_work, args=(tool, self._tasks, self._results, num_threads), daemon=True
            )
            for _ in range(number)
        ]

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

    def map(self, function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> list[Result]:
        """What the function makes of the tool and each job, in the order of the jobs.

        Args:
            function: of a module's top level, called with the tool and what is in a job.
            jobs: begun in this order, so put the longest first.

        Raises:
            RunError: a process has died.
            UserError: what the function has raised, the first of the jobs.
            RuntimeError: the function has raised another exception; its traceback is in it.
        """
        answers: list[tuple[int, Any, UserError | str | None]] = []
        most = _AHEAD * len(self._processes)
        for place, job in enumerate(jobs):
            if place >= most:
                answers.append(self._next())
            self._tasks.put((place, function, job))
        # All answers are waited for, that none is left for the next call.
        while len(answers) < len(jobs):
            answers.append(self._next())
        answers.sort(key=lambda answer: answer[0])
        for _, _, error in answers:
            if isinstance(error, str):
                raise RuntimeError(f"in a worker:\n{error}")
            if error is not None:
                raise error
        return [result for _, result, _ in answers]

    def _next(self) -> tuple[int, Any, UserError | str | None]:
        while True:
            try:
                answer: tuple[int, Any, UserError | str | None] = pickle.loads(
                    self._results.get(timeout=_PATIENCE)
                )
                return answer
            except Empty:
                for process in self._processes:
                    if not process.is_alive():
                        raise RunError(
                            f"a worker has died (exit code {process.exitcode}; -9 is often a lack "
                            "of memory): use fewer --workers, or a smaller --batch-tokens"
                        ) from None


def _work(tool: Any, tasks: Any, results: Any, num_threads: int) -> None:
    """Do jobs until the process is ended, or its parent is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told as well, and ends this one
    torch.set_num_threads(num_threads)
    keep_freed_memory()
    keep_few_kernels()
    parent = parent_process()
    while parent is not None and parent.is_alive():
        try:
            place, function, job = tasks.get(timeout=_PATIENCE)
        except Empty:
            continue
        results.put(_answer(place, function, tool, job))


def _answer(place: int, function: Callable[..., Any], tool: Any, job: tuple[Any, ...]) -> bytes:
    """Pickled here, as what cannot be is an error of the job."""
    try:
        return pickle.dumps((place, function(tool, *job), None))
    except UserError as error:
        return pickle.dumps((place, None, error))
    except Exception:
        return pickle.dumps((place, None, traceback.format_exc()))
