"""The processes that torchrun started, on one machine or several, and their collectives.

Each runs the same code. They communicate over gloo; tensors on GPUs go over NCCL.
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
# Of collectives that all call while they compute, and while the first saves: a machine that was
# lost may leave its connections open. An update takes seconds, and a large save minutes.
_COLLECTIVE_TIMEOUT: Final = timedelta(minutes=30)
_IDLE_TIMEOUT: Final = timedelta(days=30)  # of those who wait for jobs: the input may be a person
_PAUSE: Final = 0.05  # seconds between two looks for processes that have not joined


class LostProcessError(TransientError):
    """Another process died, or cannot be reached."""


class ProcessGroup:
    """All processes that work together; by itself, a group of this one process.

    Each of them calls the same methods in the same order.

    Attributes:
        rank: number of this process, from 0 on.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that reads and writes for all."""
        return self.rank == 0

    def all_reduce(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all processes, on the CPU or on GPUs.

        Raises:
            LostProcessError: so for all methods.
        """

    def all_reduce_max(self, number: int) -> int:
        """Return the largest of the numbers of all processes."""
        return number

    def broadcast(self, value: Value) -> Value:
        """Return the value of the first process; those of the others are ignored."""
        return value

    def all_gather(self, value: Value) -> list[Value]:
        """Return the values of all processes, by rank."""
        return [value]

    def scatter(self, values: list[Any] | None) -> Any:
        """Return the value for this process of those that the first has, by rank."""
        assert values is not None
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all processes, by rank, in the first; an empty list in others."""
        return [value]

    @contextmanager
    def rank_zero_first(self) -> Iterator[None]:
        """Let the first process do its work before the others do theirs.

        If the first fails, the others exit. They print nothing, but torchrun may report any
        of them, so each gives it the error of the first to show.
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
    """Several processes; made by `init_process_group`.

    Collectives before which the first process may have to wait for input time out after 30 days.
    """

    def __init__(self) -> None:
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()
        self._patient = distributed.new_group(timeout=_IDLE_TIMEOUT, backend="gloo")

    def all_reduce(self, tensor: Tensor) -> None:
        """Sum over gloo, or over NCCL on GPUs; wait half an hour at most."""
        guarded(lambda: distributed.all_reduce(tensor))

    def all_reduce_max(self, number: int) -> int:
        """Return the largest number; wait half an hour at most."""
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
        """Return all values in the first process; wait half an hour at most."""
        values: list[Any] = [None] * (self.size if self.is_first else 0)
        guarded(lambda: distributed.gather_object(value, values or None))
        return values


@contextmanager
def init_process_group(device: str = "cpu") -> Iterator[ProcessGroup]:
    """Join all processes that torchrun started, until the context ends; without it, this one.

    Args:
        device: type of the device of the tensors that are reduced.

    Raises:
        LostProcessError: a process did not join.
    """
    if not is_distributed():
        yield ProcessGroup()
        return
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    try:
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
            store=_rendezvous_store(rank, size),
            rank=rank,
            world_size=size,
            timeout=_COLLECTIVE_TIMEOUT,
        )
        group = TorchProcessGroup()
    except RuntimeError as error:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        raise LostProcessError(
            "not all processes of torchrun joined within "
            f"{format_duration(_JOIN_TIMEOUT.total_seconds())}: look at what the others say, and "
            f"whether they are all started ({_first_sentence(error)})"
        ) from None
    try:
        yield group
    finally:
        distributed.destroy_process_group()


def torchrun_store(timeout: timedelta) -> TCPStore | None:
    """Return the store that lives as long as torchrun, across restarts; None where it has none.

    Args:
        timeout: of every request to the store.
    """
    return _connect(timeout, is_master=False) if has_store() else None


def _connect(timeout: timedelta, *, is_master: bool) -> TCPStore:
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return TCPStore(address, port, is_master=is_master, timeout=timeout)


def _rendezvous_store(rank: int, size: int) -> PrefixStore:
    """Return the store where processes find each other, with a prefix of its own for each start.

    Under the prefix of torch they would find the addresses of processes that have died.
    """
    store = _connect(_JOIN_TIMEOUT, is_master=rank == 0 and not has_store())
    return PrefixStore(agree_on_prefix(store, rank, size, _JOIN_TIMEOUT), store)


def agree_on_prefix(store: Store, rank: int, size: int, timeout: timedelta) -> str:
    """Return a name that only processes learn that were started together.

    The number of restarts is not such a name: each machine's torchrun counts its own, and not
    those that another one requested.

    Args:
        store: may hold what processes left that have died.
        rank: of this process.
        size: how many there are.
        timeout: of the first process; the others have that of the store.

    Raises:
        RuntimeError: some processes do not join.
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
    """Call collectives of torch, and separate the loss of another process from errors of this one.

    gloo raises a plain `RuntimeError` for a lost connection and for a timeout. Nothing but
    collectives may be called here, so that every `RuntimeError` is such a loss except those
    excluded: a lack of memory, and errors of the GPU, which surface at any call.

    Raises:
        LostProcessError: another process died, or cannot be reached.
        Exception: any other error, unchanged.
    """
    try:
        collective()
    except RuntimeError as error:
        if isinstance(error, torch.AcceleratorError) or is_out_of_memory(error):
            raise
        raise LostProcessError(
            "another of the processes of torchrun has died, or cannot be reached any more "
            f"({_first_sentence(error)})"
        ) from None


def _first_sentence(error: RuntimeError) -> str:
    """Return what torch says first, without the place in its code that gloo puts before it."""
    sentence = str(error).partition("\n")[0].partition(". ")[0]
    return sentence.partition("] ")[2] if sentence.startswith("[") else sentence
