"""Whether torchrun has started this process, as one of several perhaps, and which it is."""

import os
from typing import Final

_LAUNCHER: Final = "TORCHELASTIC_RUN_ID"  # torchrun says by it that it was torchrun


def is_by_torchrun() -> bool:
    """Whether torchrun has started it, be it alone."""
    return _LAUNCHER in os.environ


def is_launched() -> bool:
    """Whether it is one of several."""
    return is_by_torchrun() and int(os.environ.get("WORLD_SIZE", "1")) > 1


def has_memory() -> bool:
    """Whether its torchrun remembers what processes leave there, also where it is one alone."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def is_first() -> bool:
    """Whether it is the one that reads and writes; so where there is one alone."""
    return not is_launched() or os.environ["RANK"] == "0"


def local_rank() -> int:
    """Its number on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0")) if is_launched() else 0


def local_size() -> int:
    """How many there are on its machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if is_launched() else 1
