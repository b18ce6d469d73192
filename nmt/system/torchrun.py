"""Whether torchrun has started this process, as one of several perhaps, and which it is."""

import json
import os
import time
from contextlib import suppress
from typing import Final

_LAUNCHER: Final = "TORCHELASTIC_RUN_ID"  # torchrun says by it that it was torchrun
_ERROR_FILE: Final = "TORCHELASTIC_ERROR_FILE"  # what torchrun reads of a process that failed


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


def show_at_the_end(error: str) -> None:
    """Have torchrun repeat an error line in its last lines, below its own traceback.

    Do nothing where torchrun has not started this process.

    Args:
        error: the line, as printed.
    """
    path = os.environ.get(_ERROR_FILE)
    if path is None:
        return
    line = f"{error} (see above; the traceback is torchrun's)"
    facts = {"message": line, "extraInfo": {"timestamp": str(int(time.time()))}}
    with suppress(OSError), open(path, "w", encoding="utf-8") as file:
        json.dump({"message": facts}, file)
