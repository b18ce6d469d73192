"""A pool of the processes that torchrun started; all compute jobs of the first process."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from nmt.core.errors import RunError
from nmt.distributed.process_group import LostProcessError, ProcessGroup, init_process_group
from nmt.distributed.remote_result import ItemsBeforeError, Job, RemoteResult

Tool = TypeVar("Tool")
Result = TypeVar("Result")

_JOBS_A_ROUND: Final = 8  # jobs per process between two synchronizations


@dataclass(eq=False)
class RankPool(Generic[Tool]):
    """Processes with the same tool: the first distributes jobs, and all compute.

    Attributes:
        tool: this process's copy of the tool, passed to each job.
        group: group of the processes.
    """

    tool: Tool
    group: ProcessGroup

    def require_same(self, identity: str) -> None:
        """Check that all processes have the same tool.

        Args:
            identity: text that identifies the tool.

        Raises:
            RunError: the identity of a process differs.
        """
        identities = self.group.all_gather(identity)
        for rank, other in enumerate(identities):
            if other != identities[0]:
                raise RunError(
                    f"rank {rank} of torchrun: differs from rank 0 in its model, options or "
                    "precision; give all machines the same run and arguments"
                )

    def map(self, function: Callable[..., Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Yield the function of the tool and each job, in the order of the jobs.

        Called by the first process, while the others `serve`. Jobs are distributed in rounds. If
        iterating over `jobs` raises an error, it is raised after the results of earlier jobs.

        Args:
            function: module-level function, called with the tool and the elements of a job.
            jobs: arguments of each job; dealt in turn, so keep jobs of equal cost together.

        Raises:
            RunError: a rank died.
            UserError: the function raised it; that of the lowest rank is raised.
            RuntimeError: the function raised another exception, whose traceback is in the message.
        """
        size = self.group.size
        before_error = ItemsBeforeError(jobs)
        rest = iter(before_error)
        while taken := list(islice(rest, _JOBS_A_ROUND * size)):
            shares = [taken[rank::size] for rank in range(size)]
            share = self.group.scatter([(function, share) for share in shares])
            results: list[Any] = [None] * len(taken)
            for rank, result in enumerate(self._compute(*share)):
                results[rank::size] = result.unwrap(f"rank {rank}")
            yield from results
        before_error.raise_error()

    def serve(self) -> None:
        """Compute jobs for the first process until it calls `release`.

        Raises:
            RunError: the first process died.
        """
        while (share := self.group.scatter(None)) is not None:
            self._compute(*share)

    def release(self) -> None:
        """End `serve` in the other processes."""
        self.group.scatter([None] * self.group.size)

    def _compute(self, function: Callable[..., Any], jobs: list[Job]) -> list[RemoteResult]:
        """Compute the jobs of this process; return the results of all in the first process."""
        return self.group.gather(RemoteResult.capture(_call_each, function, self.tool, jobs))


@contextmanager
def lead(tool: Tool, identity: str) -> Iterator[RankPool[Tool]]:
    """Yield a pool of all processes of torchrun; the others `serve` until the context ends.

    Args:
        tool: tool that is passed to each job.
        identity: text that identifies the tool; must be equal in all processes.

    Raises:
        RunError: a process did not join, or its tool differs.
    """
    with _joined(tool, identity) as ranks:
        try:
            yield ranks
        except Exception as error:
            if not isinstance(error, LostProcessError):
                ranks.release()
            raise
        ranks.release()


def serve(tool: Tool, identity: str) -> None:
    """Join the other processes, and compute jobs for the first until it is done; see `lead`.

    Raises:
        RunError: the first process died, or its tool differs.
    """
    with _joined(tool, identity) as ranks:
        ranks.serve()


@contextmanager
def _joined(tool: Tool, identity: str) -> Iterator[RankPool[Tool]]:
    with init_process_group() as group:
        ranks = RankPool(tool, group)
        ranks.require_same(identity)
        yield ranks


def _call_each(function: Callable[..., Any], tool: Any, jobs: list[Job]) -> list[Any]:
    return [function(tool, *job) for job in jobs]
