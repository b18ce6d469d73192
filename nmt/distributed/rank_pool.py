"""Processes that torchrun has started, computing for the first of them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from nmt.core.errors import RunError
from nmt.distributed.process_group import LostProcessError, TorchProcessGroup, init_process_group
from nmt.distributed.remote_result import ItemsBeforeError, RemoteResult

Tool = TypeVar("Tool")
Result = TypeVar("Result")

_AT_ONCE: Final = 8  # jobs for each process, after which they wait for each other


class RankPool(Generic[Tool]):
    """All processes with the same tool: the first gives out the jobs, the others do them.

    Args:
        tool: what the jobs are done with, in this process.
        group: the processes.
    """

    def __init__(self, tool: Tool, group: TorchProcessGroup) -> None:
        self._tool = tool
        self._group = group

    def require_same(self, identity: str) -> None:
        """Refuse tools that are not alike.

        Args:
            identity: says what the tool is made of; the same in all ranks.

        Raises:
            RunError: one of them has another.
        """
        identities = self._group.all_gather(identity)
        for rank, other in enumerate(identities):
            if other != identities[0]:
                raise RunError(
                    f"rank {rank} of torchrun has another model, other options or precision "
                    "than rank 0: give all machines the same run and the same arguments"
                )

    def map(
        self, function: Callable[..., Result], jobs: Iterable[tuple[Any, ...]]
    ) -> Iterator[Result]:
        """What the function makes of the tool and each job, in the order of the jobs.

        Called by the first, while the others `serve`.

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
        rest = ItemsBeforeError(jobs)
        while taken := list(islice(rest, _AT_ONCE * self._group.size)):
            yield from self._do(function, taken)
        rest.raise_error()

    def _do(self, function: Callable[..., Any], jobs: list[tuple[Any, ...]]) -> list[Any]:
        """What all make of some jobs."""
        number = self._group.size
        self._group.scatter([(function, jobs[rank::number]) for rank in range(number)])
        results = self._group.gather(
            RemoteResult.capture(_do, function, self._tool, jobs[::number])
        )
        found: list[Any] = [None] * len(jobs)
        for rank, each in enumerate(results):
            found[rank::number] = each.unwrap(f"rank {rank}")
        return found

    def serve(self) -> None:
        """Do jobs for the first rank until it lets go.

        Raises:
            RunError: it has died.
        """
        while (job := self._group.scatter(None)) is not None:
            function, jobs = job
            self._group.gather(RemoteResult.capture(_do, function, self._tool, jobs))

    def release(self) -> None:
        """Tell the others that all is done; they come out of `serve`."""
        self._group.scatter([None] * self._group.size)


@contextmanager
def lead(tool: Tool, identity: str) -> Iterator[RankPool[Tool]]:
    """All processes of torchrun, which `serve` the first of them, as long as the context lasts.

    Args:
        tool: what jobs are done with.
        identity: says what it is made of; the same in all of them.

    Raises:
        RunError: they have not all met, or one of them has another tool.
    """
    with _met(tool, identity) as ranks:
        try:
            yield ranks
        except LostProcessError:
            raise
        except Exception:
            ranks.release()
            raise
        ranks.release()


def serve(tool: Tool, identity: str) -> None:
    """Meet the others, and do jobs for the first until it is done; see `lead`.

    Raises:
        RunError: it has died, or another tool.
    """
    with _met(tool, identity) as ranks:
        ranks.serve()


@contextmanager
def _met(tool: Tool, identity: str) -> Iterator[RankPool[Tool]]:
    with init_process_group() as group:
        assert isinstance(group, TorchProcessGroup)
        ranks = RankPool(tool, group)
        ranks.require_same(identity)
        yield ranks


def _do(function: Callable[..., Any], tool: Any, jobs: list[tuple[Any, ...]]) -> list[Any]:
    return [function(tool, *job) for job in jobs]
