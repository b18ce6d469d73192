"""The processes that torchrun started, on one machine or several, and their collectives.

All of them run the same code. They communicate over gloo, and over NCCL for tensors on GPUs.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Final, TypeVar
from uuid import uuid4

import torch
from torch import Tensor, distributed
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from nmt.core.console import format_duration
from nmt.core.errors import TransientError
from nmt.system.memory import is_out_of_memory
from nmt.system.process import has_store, is_distributed, write_error_file

Value = TypeVar("Value")

_JOIN_TIMEOUT: Final = timedelta(minutes=10)  # until all processes have started
# For collectives that all processes call while they compute, or while the first one saves: a lost
# machine may leave its connections open. An update takes seconds, and a large save minutes.
_COLLECTIVE_TIMEOUT: Final = timedelta(minutes=30)
_IDLE_TIMEOUT: Final = timedelta(days=30)  # to wait for jobs: a person may type the input
_PAUSE: Final = 0.05  # seconds between checks for processes that have not joined


class LostProcessError(TransientError):
    """Another process died, or cannot be reached."""


class ProcessGroup:
    """Group of processes that work together; this base class is a group of one process.

    All processes must call the same methods in the same order.

    Attributes:
        rank: number of this process, from 0.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Return whether this process reads and writes for all."""
        return self.rank == 0

    def all_reduce(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all processes, on the CPU or on GPUs.

        Raises:
            LostProcessError: another process was lost; every method may raise it.
        """

    def all_reduce_max(self, number: int) -> int:
        """Return the largest of the numbers of all processes."""
        return number

    def broadcast(self, value: Value) -> Value:
        """Return the value of the first process; values of other processes are ignored."""
        return value

    def all_gather(self, value: Value) -> list[Value]:
        """Return the values of all processes, by rank."""
        return [value]

    def scatter(self, values: list[Any] | None) -> Any:
        """Return this process's element of `values`, which the first process gives, by rank."""
        assert values is not None
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all processes, by rank, in the first process; else an empty list."""
        return [value]

    @contextmanager
    def rank_zero_first(self) -> Iterator[None]:
        """Let the first process do its work before the others do theirs.

        If the first fails, the others exit and print nothing. torchrun may report any of them, so
        each writes the error of the first for torchrun.
        """
        if not self.is_first:
            error = self.broadcast("")
            if error:
                write_error_file(f"nmt: error: {error}")
                raise SystemExit(2)
            yield
            return
        try:
            yield
        except BaseException as failure:
            with suppress(LostProcessError):
                self.broadcast(" ".join(str(failure).split()) or type(failure).__name__)
            raise
        self.broadcast("")


class TorchProcessGroup(ProcessGroup):
    """Group of several processes; made by `init_process_group`.

    The first process may have to wait for input before some collectives; these time out after 30
    days.
    """

    def __init__(self) -> None:
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()
        self._patient = distributed.new_group(timeout=_IDLE_TIMEOUT, backend="gloo")

    def all_reduce(self, tensor: Tensor) -> None:
        """Sum over gloo, or over NCCL on GPUs; time out after half an hour."""
        guarded(lambda: distributed.all_reduce(tensor))

    def all_reduce_max(self, number: int) -> int:
        """Return the largest number; time out after half an hour."""
        found = torch.tensor(number)
        guarded(lambda: distributed.all_reduce(found, distributed.ReduceOp.MAX))
        return int(found)

    def broadcast(self, value: Value) -> Value:
        """Return the value of the first process, once it has one."""
        values = [value]
        guarded(lambda: distributed.broadcast_object_list(values, group=self._patient))
        return values[0]

    def all_gather(self, value: Value) -> list[Value]:
        """Return all values, once every process has one."""
        values: list[Any] = [None] * self.size
        guarded(lambda: distributed.all_gather_object(values, value, group=self._patient))
        return values

    def scatter(self, values: list[Any] | None) -> Any:
        """Return the value for this process, once the first has it."""
        received = [None]
        guarded(lambda: distributed.scatter_object_list(received, values, group=self._patient))
        return received[0]

    def gather(self, value: Value) -> list[Value]:
        """Return all values in the first process; time out after half an hour."""
        values: list[Any] = [None] * (self.size if self.is_first else 0)
        guarded(lambda: distributed.gather_object(value, values or None))
        return values


@contextmanager
def init_process_group(device: str = "cpu") -> Iterator[ProcessGroup]:
    """Join all processes that torchrun started, until the context ends.

    Without torchrun, yields a group of this one process.

    Args:
        device: device type of the tensors to reduce.

    Raises:
        LostProcessError: a process did not join.
    """
    if not is_distributed():
        yield ProcessGroup()
        return
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    try:
        store = _connect(_JOIN_TIMEOUT, is_master=rank == 0 and not has_store())
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
            # Under torch's prefix, processes would find the addresses of processes that have died.
            store=PrefixStore(agree_on_prefix(store, rank, size, _JOIN_TIMEOUT), store),
            rank=rank,
            world_size=size,
            timeout=_COLLECTIVE_TIMEOUT,
        )
        group = TorchProcessGroup()
    except RuntimeError as error:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        raise LostProcessError(
            "torchrun: not all processes joined within "
            f"{format_duration(_JOIN_TIMEOUT.total_seconds())} ({_first_sentence(error)}); check "
            "that all were started, and read their messages"
        ) from None
    try:
        yield group
    finally:
        distributed.destroy_process_group()


def torchrun_store(timeout: timedelta) -> TCPStore | None:
    """Return torchrun's store, which outlives restarts; None if it has none.

    Args:
        timeout: timeout of each request to the store.
    """
    return _connect(timeout, is_master=False) if has_store() else None


def _connect(timeout: timedelta, *, is_master: bool) -> TCPStore:
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, is_master=is_master, timeout=timeout)


def agree_on_prefix(store: Store, rank: int, size: int, timeout: timedelta) -> str:
    """Return a name that is shared only by processes that were started together.

    The number of restarts would not do: the torchrun of each machine counts only its own restarts,
    not those that another machine requested.

    Args:
        store: store that may contain keys of processes that have died.
        rank: rank of this process.
        size: number of processes.
        timeout: timeout of the first process; the others use the timeout of the store.

    Raises:
        RuntimeError: some processes did not join.
    """
    name = f"nmt/{uuid4().hex}"
    if rank > 0:
        store.set(f"nmt/rank {rank}", name)
        prefix = store.get(f"{name} meets at").decode()  # waits until it is there
        store.add(prefix, 1)
        return prefix
    end = time.monotonic() + timeout.total_seconds()
    while (num_missing := size - 1 - store.add(name, 0)) > 0:
        if time.monotonic() > end:
            raise RuntimeError(f"{num_missing} of {size} processes did not join")
        for other in range(1, size):
            if store.check([f"nmt/rank {other}"]):  # perhaps set by a process that has died
                store.set(f"{store.get(f'nmt/rank {other}').decode()} meets at", name)
        time.sleep(_PAUSE)
    return name


def guarded(collective: Callable[[], object]) -> None:
    """Call collectives of torch, and raise `LostProcessError` if another process is lost.

    gloo raises a plain `RuntimeError` for a lost connection and for a timeout. `collective` must
    call nothing but collectives, so that every `RuntimeError` means a lost process. Only a lack of
    memory and GPU errors, which may surface at any call, are excluded.

    Raises:
        LostProcessError: another process died or cannot be reached.
        Exception: any other error, unchanged.
    """
    try:
        collective()
    except RuntimeError as error:
        if isinstance(error, torch.AcceleratorError) or is_out_of_memory(error):
            raise
        raise LostProcessError(
            f"torchrun: another process died or cannot be reached ({_first_sentence(error)}); read "
            "its messages"
        ) from None


def _first_sentence(error: RuntimeError) -> str:
    """Return the first sentence of torch's message, without gloo's prefix (file and line)."""
    sentence = str(error).partition("\n")[0].partition(". ")[0]
    return sentence.partition("] ")[2] if sentence.startswith("[") else sentence
