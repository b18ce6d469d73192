"""How many threads and processes may compute at once."""

import os


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


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
