"""This process: its streams and logs, its rank under torchrun, its threads, its memory."""

import io
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from nmt.core.console import escape_controls

_STREAMS: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # by descriptor

_LAUNCHER: Final = "TORCHELASTIC_RUN_ID"  # set by torchrun
_ERROR_FILE: Final = "TORCHELASTIC_ERROR_FILE"  # where torchrun reads a process's error

_TURNS: Final = 10_000  # spins before sleeping; libgomp's default of 300,000 outlasts most products

# From glibc's malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_LARGE: Final = 2**30
_LARGEST_FOR_SOME: Final = 2**25  # the limit of older versions

# Kernel caches of oneDNN and of PyTorch's interface to it, with 1,024 entries each by default.
_CACHES: Final = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")

FOR_SEARCH: Final = (64, 16)
FOR_TRAINING: Final = (256, 64)  # batches of training mostly repeat the same shapes


def open_closed_streams() -> None:
    """Open /dev/null in place of a closed stdin, stdout or stderr, until the process ends.

    Otherwise the next opened file gets the free descriptor, and a library's messages on stderr are
    written into that file.
    """
    for descriptor, (name, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor
            os.set_inheritable(opened, opened == descriptor)
            stream = os.fdopen(opened, mode, encoding="utf-8", errors="replace", closefd=False)
            setattr(sys, name, stream)


@contextmanager
def stdout_in_utf8() -> Iterator[None]:
    r"""Make stdout write UTF-8 with `\n` on every system; replace what cannot be encoded."""
    stream = sys.stdout
    if isinstance(stream, io.TextIOWrapper):  # notebooks and tests may replace stdout
        before = (stream.encoding, stream.errors)
        stream.reconfigure(encoding="utf-8", errors="replace", newline="\n")
        try:
            yield
        finally:
            if not stream.closed:
                stream.reconfigure(encoding=before[0], errors=before[1])
    else:
        yield


def discard_stdout() -> bool:
    """Discard the buffer of a broken stdout, which Python would try to write again at its exit.

    Returns:
        Whether stdout could not be written.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


class OnceFilter(logging.Filter):
    """Filter that drops a record marked with `ONCE` if its text was shown before."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is new, or not marked."""
        if not getattr(record, "once", False):
            return True
        text = record.getMessage()
        is_new = text not in self._shown
        self._shown.add(text)
        return is_new


class EscapingFormatter(logging.Formatter):
    """Formatter that escapes control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text, with control characters escaped."""
        return escape_controls(super().format(record))


@contextmanager
def log_on_stderr(level: int) -> Iterator[None]:
    """Show the package's log records while a command runs; only warnings and errors are marked.

    Args:
        level: the lowest level to show.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LogFormatter())
    handler.addFilter(OnceFilter())
    logger = logging.getLogger("nmt")
    before, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = propagate


class _LogFormatter(EscapingFormatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if record.levelno < logging.WARNING:
            return text
        return f"nmt: {record.levelname.lower()}: {text}"


def is_torchrun_launched() -> bool:
    """Return whether torchrun started this process, even if it is the only one."""
    return _LAUNCHER in os.environ


def is_distributed() -> bool:
    """Return whether torchrun started several processes."""
    return is_torchrun_launched() and int(os.environ.get("WORLD_SIZE", "1")) > 1


def has_store() -> bool:
    """Return whether torchrun has a store that outlives its processes."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def is_first() -> bool:
    """Return whether this process reads and writes for all; True for a single process."""
    return not is_distributed() or os.environ["RANK"] == "0"


def local_rank() -> int:
    """Return the number of this process on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0")) if is_distributed() else 0


def local_size() -> int:
    """Return the number of processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if is_distributed() else 1


def write_error_file(error: str) -> None:
    """Make torchrun repeat an error line in its last lines, below its own traceback.

    Does nothing if torchrun has not started this process.

    Args:
        error: the line as it was printed.
    """
    path = os.environ.get(_ERROR_FILE)
    if path is None:
        return
    line = f"{error} (see above; the traceback is torchrun's)"
    facts = {"message": line, "extraInfo": {"timestamp": str(int(time.time()))}}
    with suppress(OSError), open(path, "w", encoding="utf-8") as file:
        json.dump({"message": facts}, file)


def num_threads() -> int:
    """Return OMP_NUM_THREADS, or else one for each core of this process."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else num_cores()


def limit_spinning() -> None:
    """Make OpenMP threads sleep soon when they wait, instead of spinning; call before torch.

    On a shared core, a spinning thread delays the threads that it waits for.
    Does nothing if the environment sets OMP_WAIT_POLICY.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(_TURNS))


def num_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_freed_memory() -> None:
    """Stop the C allocator from mapping and unmapping the memory of every large tensor.

    By default glibc returns freed tensors of several megabytes to the system. The next tensor of
    the same size is paged in and zeroed again. This takes about a quarter of an update on a CPU,
    and more of a beam search. Threads share one arena, because the memory of a second one is still
    returned, and a tensor that one thread has freed is of no use to another. Does nothing with
    another C library.
    """
    mallopt = _find_in_glibc("mallopt")
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        if not mallopt(_M_MMAP_THRESHOLD, _LARGE):
            mallopt(_M_MMAP_THRESHOLD, _LARGEST_FOR_SOME)
        mallopt(_M_TRIM_THRESHOLD, _LARGE)


def return_freed_memory() -> None:
    """Return the memory that `keep_freed_memory` has kept to the system, once.

    Does nothing with another C library.
    """
    malloc_trim = _find_in_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _find_in_glibc(name: str) -> Any:
    """Return a function of the C library; None if it has no function of this name."""
    if sys.platform != "linux":
        return None
    import ctypes  # slow to import, and not needed for --help

    return getattr(ctypes.CDLL(None), name, None)


def limit_kernel_caches(numbers: tuple[int, int]) -> None:
    """Limit the compiled kernels that oneDNN caches; call before its first product.

    On a CPU, oneDNN compiles a kernel for each shape of a product. Search meets new shapes as
    hypotheses end, and training with batches of all lengths. Caches of the default size grow to a
    gigabyte. Limits that the environment sets are kept.

    Args:
        numbers: limits of the two caches, in kernels.
    """
    for name, number in zip(_CACHES, numbers, strict=True):
        os.environ.setdefault(name, str(number))


def set_up_for_training(num_threads: int | None) -> None:
    """Set up memory, compiled kernels and threads; call before the first product of training.

    Args:
        num_threads: threads of the computation on a CPU; None: torch's default.
    """
    keep_freed_memory()
    limit_kernel_caches(FOR_TRAINING)
    if num_threads is not None:
        import torch

        torch.set_num_threads(num_threads)


def set_up_for_search() -> None:
    """Set up memory and compiled kernels; call before the first product of a search."""
    keep_freed_memory()
    limit_kernel_caches(FOR_SEARCH)
