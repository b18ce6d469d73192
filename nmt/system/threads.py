"""How many threads and processes may compute at once, and how they wait for each other."""

import os
from typing import Final

_TURNS: Final = 10_000  # of a spinning loop; libgomp's own 300,000 take longer than most products


def num_threads(num_processes: int = 1) -> int:
    """Return the number of threads for each of some processes on this machine, at least one.

    They share as many as OMP_NUM_THREADS says, or as there are cores that this process may use.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    total = int(given) if given.isdecimal() and int(given) > 0 else num_cores()
    return max(1, total // num_processes)


def limit_spinning() -> None:
    """Let a thread that waits for others sleep soon, instead of spinning; call before torch.

    Where something else runs on its core, a spinning thread delays those it is waiting for.
    Does nothing where the environment says how to wait.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(_TURNS))


def num_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
