"""A separate process for each way, set up as its users would set it up."""

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import TypeVar
from unittest.mock import patch

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.kinds import measure_kinds
from benchmarks.ways import WAYS, Sizes, Update, draw_batches
from nmt.core.batch import Batch
from nmt.system.process import limit_spinning, set_up_for_training

Result = TypeVar("Result")


class WayProcess:
    """Handle of a process that makes updates in one way, on request.

    Args:
        connection: connection to the process.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def do(self, function: Callable[[Update, list[Batch]], Result]) -> Result:
        """Call a module-level function in the process, with its update and batches."""
        self._connection.send(function)
        result: Result = self._connection.recv()
        return result


@contextmanager
def started(
    names: list[str], sizes: Sizes, num_batches: int, threads: int
) -> Iterator[dict[str, WayProcess]]:
    """Start a process for each way; the processes end with the context."""
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        processes = {}
        for name in names:
            ours, theirs = context.Pipe()
            arguments = (theirs, name, sizes, num_batches, threads)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            with patch.dict(os.environ):
                if WAYS[name].is_settled:
                    limit_spinning()
                process.start()
            theirs.close()
            stack.callback(process.join)
            stack.callback(ours.close)
            processes[name] = WayProcess(ours)
        yield processes


def seconds_of(update: Update, batches: list[Batch]) -> float:
    """Return the seconds of an update, averaged over the batches."""
    began = time.perf_counter()
    for batch in batches:
        update(batch)
    return (time.perf_counter() - began) / len(batches)


def kinds_of_two(update: Update, batches: list[Batch]) -> tuple[Counter[str], Counter[str]]:
    """Profile two updates by part and kind; a profile of more takes long to process."""
    return measure_kinds(update, batches[len(batches) // 2 :][:2])


def profile_of(update: Update, batches: list[Batch]) -> str:
    """Return the profiler's table of the slowest torch operations."""
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as recorded:
        for batch in batches:
            update(batch)
    return str(recorded.key_averages().table(sort_by="self_cpu_time_total", row_limit=20))


def _serve(connection: Connection, name: str, sizes: Sizes, num_batches: int, threads: int) -> None:
    way = WAYS[name]
    if way.is_settled:
        set_up_for_training(threads)
    else:
        torch.set_num_threads(threads)
    update, batches = way.make(sizes), draw_batches(sizes, num_batches)
    while True:
        try:
            function = connection.recv()
        except EOFError:
            return
        connection.send(function(update, batches))
