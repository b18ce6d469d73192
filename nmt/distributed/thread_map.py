"""Jobs that run side by side in threads of this process, each with one thread of torch."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Final, TypeVar

import torch

from nmt.distributed.remote_result import ItemsBeforeError, Job

Item = TypeVar("Item")
Result = TypeVar("Result")

_JOBS_AHEAD: Final = 2  # for each thread


def map_in_threads(
    function: Callable[..., Result], jobs: Iterable[tuple[Item, Job]], num_threads: int
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with the result of its job, in the order of the jobs.

    The threads compute while the caller does something else. torch releases the lock of the
    interpreter inside its operations, so they run side by side. Jobs are taken from the iterable in
    the calling thread, a few ahead. If iterating over `jobs` raises an error, it is raised after
    the results of earlier jobs. The threads end with the iterator; jobs that have started are
    waited for.

    Args:
        function: called with the elements of a job.
        jobs: items, which are yielded again, with the arguments of their jobs.
        num_threads: jobs that run at the same time.

    Raises:
        RuntimeError: this is a forked child, which has none of its parent's threads.
        Exception: of the function, or raised by iterating over the jobs.
    """
    owner, before = os.getpid(), torch.get_num_threads()
    before_error = ItemsBeforeError(jobs)
    rest = iter(before_error)
    pending: deque[tuple[Item, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(num_threads, "nmt", initializer=torch.set_num_threads, initargs=(1,))
    try:
        while True:
            for item, job in islice(rest, _JOBS_AHEAD * num_threads - len(pending)):
                pending.append((item, pool.submit(function, *job)))
            if not pending:
                break
            if os.getpid() != owner:
                raise RuntimeError(
                    f"the threads belong to process {owner}, not to its fork {os.getpid()}; start "
                    "to translate after the fork"
                )
            item, future = pending.popleft()
            yield item, future.result()
        before_error.raise_error()
    finally:
        if os.getpid() == owner:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(before)  # also of threads that start later
