"""The environment that torchrun gives to the processes that it starts."""

import json
import os
import time
from contextlib import suppress
from typing import Final

_LAUNCHER: Final = "TORCHELASTIC_RUN_ID"  # torchrun says by it that it was torchrun
_ERROR_FILE: Final = "TORCHELASTIC_ERROR_FILE"  # what torchrun reads of a process that failed


def is_torchrun_launched() -> bool:
    """Return whether torchrun started this process, as one of any number."""
    return _LAUNCHER in os.environ


def is_distributed() -> bool:
    """Return whether torchrun started several processes."""
    return is_torchrun_launched() and int(os.environ.get("WORLD_SIZE", "1")) > 1


def has_store() -> bool:
    """Return whether torchrun has a store that outlives its processes."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def is_first() -> bool:
    """Return whether this process reads and writes for all; true of a single process."""
    return not is_distributed() or os.environ["RANK"] == "0"


def local_rank() -> int:
    """Return the number of this process on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0")) if is_distributed() else 0


def local_size() -> int:
    """Return the number of processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if is_distributed() else 1


def write_error_file(error: str) -> None:
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
