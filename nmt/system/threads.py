"""How many threads and processes may compute at once, and how they wait for each other."""

import os
from typing import Final

_TURNS: Final = 10_000  # of a loop; libgomp's own 300,000 take longer than most products


def num_threads(num_processes: int = 1) -> int:
    """Threads for each of some processes that compute side by side, at least one.

    They share as many as OMP_NUM_THREADS says, or as there are cores that this process may use.
    """
    return max(1, _num_in_all() // num_processes)


def _num_in_all() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return num_cores()


def limit_spinning() -> None:
    """Have a thread that waits for others sleep soon, instead of turning in a loop; before torch.

    Where something else runs on its core, one that turns keeps from it those it is waiting for.
    Does nothing where the environment says how to wait.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(_TURNS))


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
