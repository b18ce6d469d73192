"""Memory of a device: free memory, peak memory, and out-of-memory errors."""

import os
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import torch

from nmt.core.errors import OUT_OF_MEMORY, UserError

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_MEMORY: Final = Path("/proc/meminfo")
_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")  # of a container
_USED: Final = Path("/sys/fs/cgroup/memory.current")
_USED_FOR: Final = Path("/sys/fs/cgroup/memory.stat")


def free_memory(device: torch.device) -> int:
    """Estimate the number of bytes that can still be allocated."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    available = _find_numbers(_MEMORY, r"MemAvailable:\s+(\d+) kB")
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = available[0] * 1024 if available else physical // 2
    for limit in _find_numbers(_LIMIT, r"(\d+)"):  # no match for "max" (no limit)
        used = sum(_find_numbers(_USED, r"(\d+)"))
        cached = sum(_find_numbers(_USED_FOR, r"(?:in)?active_file (\d+)"))  # can be dropped
        free = min(free, limit - used + cached)
    return free


def reset_peak_memory(device: torch.device) -> int:
    """Start a new measurement of `peak_memory`, and return the bytes in use now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    with suppress(OSError):  # not Linux: earlier peaks count as well
        _CLEAR.write_text("5")
    return peak_memory(device)


def peak_memory(device: torch.device) -> int:
    """Return the peak bytes in use since `reset_peak_memory`; on a CPU, of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peaks = _find_numbers(_STATUS, r"VmHWM:\s+(\d+) kB")
    if peaks:
        return peaks[0] * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _find_numbers(path: Path, pattern: str) -> list[int]:
    """Return the numbers in matching lines of a file; an empty list if it cannot be read."""
    try:
        return [int(number) for number in re.findall(f"^{pattern}$", path.read_text(), re.M)]
    except OSError:
        return []


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is an out-of-memory error of a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


@contextmanager
def explain_out_of_memory(message: str) -> Iterator[None]:
    """Turn an out-of-memory error inside the `with` into a user error with this message."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise UserError(message) from error
        raise
