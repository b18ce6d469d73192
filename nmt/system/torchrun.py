"""Whether torchrun has started this process, as one of several perhaps, and which it is."""

import json
import os
import time
from contextlib import suppress
from typing import Final

_LAUNCHER: Final = "TORCHELASTIC_RUN_ID"  # torchrun says by it that it was torchrun
_ERROR_FILE: Final = "TORCHELASTIC_ERROR_FILE"  # what torchrun reads of a process that failed


def is_torchrun_launched() -> bool:
    """Whether torchrun has started it, be it alone."""
    return _LAUNCHER in os.environ


def is_distributed() -> bool:
    """Whether it is one of several."""
    return is_torchrun_launched() and int(os.environ.get("WORLD_SIZE", "1")) > 1


def has_store() -> bool:
    """Whether its torchrun remembers what processes leave there, also where it is one alone."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def is_first() -> bool:
    """Whether it is the one that reads and writes; so where there is one alone."""
    return not is_distributed() or os.environ["RANK"] == "0"


def local_rank() -> int:
    """Its number on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0")) if is_distributed() else 0


def local_size() -> int:
    """How many there are on its machine."""
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
