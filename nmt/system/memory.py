"""Memory of a device: how much is free, the peak in use, and errors for a lack of it."""

import os
import re
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import torch

from nmt.core.errors import OUT_OF_MEMORY

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_MEMORY: Final = Path("/proc/meminfo")
_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")  # of a container
_USED: Final = Path("/sys/fs/cgroup/memory.current")
_USED_FOR: Final = Path("/sys/fs/cgroup/memory.stat")


def free_memory(device: torch.device) -> int:
    """Return about how many bytes can still be allocated."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _read(_MEMORY), re.MULTILINE)
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = int(found[1]) * 1024 if found else physical // 2
    limit = _read(_LIMIT).strip()
    if limit.isdecimal():
        free = min(free, int(limit) - int(_read(_USED).strip() or 0) + _cached_files())
    return free


def reset_peak_memory(device: torch.device) -> int:
    """Start a new measurement of `peak_memory`, and return the bytes in use now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    with suppress(OSError):  # another system: what was in use before counts as well
        _CLEAR.write_text("5")
    return peak_memory(device)


def peak_memory(device: torch.device) -> int:
    """Return the most bytes in use since `reset_peak_memory`; on a CPU, by the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    found = re.search(r"^VmHWM:\s+(\d+) kB", _read(_STATUS), re.MULTILINE)
    if found:
        return int(found[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _cached_files() -> int:
    """Return the part of the memory of a container that the system can drop, such as files read."""
    found = re.findall(r"^(?:in)?active_file (\d+)$", _read(_USED_FOR), re.MULTILINE)
    return sum(map(int, found))


def _read(path: Path) -> str:
    """Return the text of a file of the system; empty where the system has no such file."""
    try:
        return path.read_text()
    except OSError:
        return ""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is a lack of memory, on a GPU or a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
