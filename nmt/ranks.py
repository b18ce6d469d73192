"""Processes that torchrun has started, here or elsewhere, computing for the first of them."""

import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from torch import distributed

from nmt.durations import format_duration
from nmt.errors import RunError, UserError
from nmt.launched import is_first
from nmt.until_error import UntilError

Tool = TypeVar("Tool")
Result = TypeVar("Result")

_MEETING: Final = timedelta(minutes=10)  # until all have loaded the model and are there
_PATIENCE: Final = timedelta(days=30)  # of those who wait for work: the input may be a person

_AT_ONCE: Final = 8  # jobs for each process, after which they wait for each other

_Answer = tuple[list[Any], UserError | str | None]


class Ranks(Generic[Tool]):
    """All ranks with the same tool; a context manager, entered by each of them.

    The first gives out the jobs (`map`), the others do them (`serve`) until it leaves the context.
    They talk over gloo, whatever device they compute on.

    Args:
        tool: what the jobs are done with, in this process.
        identity: says what the tool is made of; the same in all ranks.
    """

    def __init__(self, tool: Tool, identity: str) -> None:
        self._tool = tool
        self._identity = identity
        self._is_broken = False
        self._group: distributed.ProcessGroup | None = None

    def __enter__(self) -> Self:
        """Meet the others.

        Raises:
            RunError: one of them does not come, or has another tool.
        """
        try:
            distributed.init_process_group("gloo", timeout=_MEETING)
            self._group = distributed.new_group(timeout=_PATIENCE)
        except RuntimeError as error:
            if distributed.is_initialized():
                distributed.destroy_process_group()
            raise RunError(
                "the processes of torchrun have not all met within "
                f"{format_duration(_MEETING.total_seconds())}: look at what the others say, and "
                f"whether they are all started ({_first_line(error)})"
            ) from None
        identities: list[Any] = [None] * distributed.get_world_size()
        self._talk(lambda: distributed.all_gather_object(identities, self._identity))
        for rank, identity in enumerate(identities):
            if identity != identities[0]:
                distributed.destroy_process_group()
                raise RunError(
                    f"rank {rank} of torchrun has another model, other options or precision "
                    "than rank 0: give all machines the same run and the same arguments"
                )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if is_first() and not self._is_broken and isinstance(error, Exception | None):
            self._give_out([None] * distributed.get_world_size())
        distributed.destroy_process_group()

    def map(
        self, function: Callable[..., Result], jobs: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """What the function makes of the tool and each job, in the order of the jobs.

        Args:
            function: of a module's top level, called with the tool and what is in a job.
            jobs: taken some for each process at a time, and dealt out in turn, so put those
                together that take as long. An error in taking one is raised after the results of
                those before it.

        Raises:
            RunError: a rank has died.
            UserError: what the function has raised, that of the lowest rank.
            RuntimeError: the function has raised another exception; its traceback is in it.
        """
        rest = UntilError(jobs)
        while taken := list(islice(rest, _AT_ONCE * distributed.get_world_size())):
            yield from self._do(function, taken)
        rest.raise_error()

    def _do(self, function: Callable[..., Any], jobs: list[tuple[Any, ...]]) -> list[Any]:
        """What all make of some jobs."""
        number = distributed.get_world_size()
        self._give_out([(function, jobs[rank::number]) for rank in range(number)])
        answers = self._collect(_answer(function, self._tool, jobs[::number]))
        for rank, (_, error) in enumerate(answers):
            if isinstance(error, str):
                raise RuntimeError(f"in rank {rank}:\n{error}")
            if error is not None:
                raise error
        found: list[Any] = [None] * len(jobs)
        for rank, (results, _) in enumerate(answers):
            found[rank::number] = results
        return found

    def serve(self) -> None:
        """Do jobs for the first rank until it is done.

        Raises:
            RunError: it has died.
        """
        while (job := self._give_out(None)) is not None:
            function, jobs = job
            self._collect(_answer(function, self._tool, jobs))

    def _give_out(self, all_jobs: list[Any] | None) -> Any:
        """What the first rank has for this one."""
        received = [None]
        self._talk(lambda: distributed.scatter_object_list(received, all_jobs, group=self._group))
        return received[0]

    def _collect(self, answer: _Answer) -> list[_Answer]:
        """The answers of all ranks, for the first; else nothing."""
        size = distributed.get_world_size() if is_first() else 0
        answers: list[Any] = [None] * size
        self._talk(lambda: distributed.gather_object(answer, answers or None, group=self._group))
        return answers

    def _talk(self, exchange: Callable[[], None]) -> None:
        try:
            exchange()
        except RuntimeError as error:
            self._is_broken = True
            raise RunError(
                f"another of the processes of torchrun has died ({_first_line(error)})"
            ) from None


def _answer(function: Callable[..., Any], tool: Any, jobs: Sequence[tuple[Any, ...]]) -> _Answer:
    try:
        return [function(tool, *job) for job in jobs], None
    except UserError as error:
        return [], error
    except Exception:
        return [], traceback.format_exc()


def _first_line(error: RuntimeError) -> str:
    """Of what torch says; the rest is where in its code that was."""
    return str(error).partition("\n")[0]
