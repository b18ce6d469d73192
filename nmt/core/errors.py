"""Errors that the user can fix, and system errors explained in one line."""

import errno
import os
from typing import Final


class UserError(Exception):
    """An error that the user can fix: one clear line, exit code 2, no traceback.

    The message names the file, line or key, the bad value, and a valid one.
    """


class ConfigError(UserError):
    """A configuration that cannot be used."""


class DataError(UserError):
    """A corpus or an input file that cannot be used."""


class RunError(UserError):
    """A run directory that cannot be used: missing, damaged, or in the way."""


class TransientError(RunError):
    """An error that may not occur again on another try, such as a process that died."""


_ON_A_CPU: Final = ("can't allocate memory", "not enough memory")
_ON_A_GPU: Final = (
    "_STATUS_ALLOC_FAILED",
    "CUDA error: out of memory",
    "CUDA out of memory",
    "Cuda failure 2 'out of memory'",
)
# Parts of the out-of-memory messages of torch (on a CPU), cuBLAS, cuDNN and NCCL, also as reported
# by another process. They raise a plain `RuntimeError` or `DistBackendError` without a code or an
# attribute, so the text is all there is to check.
OUT_OF_MEMORY: Final = _ON_A_CPU + _ON_A_GPU

_ADVICE: Final = {
    errno.ENOSPC: "free disk space",
    errno.EDQUOT: "free disk space, or ask for a larger quota",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n), or use fewer processes",
    errno.ENFILE: "close other programs, as the system has too many files open",
    errno.ENOMEM: "free memory, raise the limit on it (ulimit -v), or use smaller batches",
    errno.EROFS: "choose a folder on a writable file system",
    errno.EIO: "check the disk, or choose a folder on another one",
    errno.EAGAIN: "raise the limit on processes (ulimit -u), or use fewer processes",
}


# Libraries raise their own exceptions, with the text of the system error but without its code.
_SAID: Final = {
    **{os.strerror(code): advice for code, advice in _ADVICE.items()},
    **dict.fromkeys((*_ON_A_CPU, "failed to map segment"), _ADVICE[errno.ENOMEM]),
    **dict.fromkeys(_ON_A_GPU, "stop other programs on the GPU, or use smaller batches"),
    "can't start new thread": _ADVICE[errno.EAGAIN],
}
_NO_TEMPORARY: Final = "No usable temporary directory"  # message of `tempfile`


def os_advice(error: OSError) -> str | None:
    """Return advice if a resource of the system has run out; None for any other error."""
    if error.errno is None or error.strerror != os.strerror(error.errno):
        return None  # an `OSError` raised by nmt itself has its own advice
    return _ADVICE.get(error.errno)


def os_reason(error: OSError) -> str:
    """Return the system's message, with advice if a resource has run out."""
    said, what_to_do = error.strerror or str(error), os_advice(error)
    return said if what_to_do is None else f"{said}; {what_to_do}"


def advice_on(said: str) -> str | None:
    """Return advice if a text reports that a resource has run out, or else None."""
    return next((advice for words, advice in _SAID.items() if words in said), None)


def explain_system_error(error: BaseException) -> str | None:
    """Return a system error or a lack of memory as one line; None for any other error."""
    if isinstance(error, MemoryError):
        return f"memory: {os.strerror(errno.ENOMEM)}; {_ADVICE[errno.ENOMEM]}"
    if not isinstance(error, OSError | RuntimeError | ImportError):
        return None
    said = str(error)
    if isinstance(error, OSError):
        if _NO_TEMPORARY in said:
            return f"{error.strerror}; set TMPDIR to a writable folder, or free disk space"
        if error.filename is not None:
            return f"{error.filename}: {os_reason(error)}"
        if os_advice(error) is not None or isinstance(error, FileNotFoundError):
            return os_reason(error)
    what_to_do, first_line = advice_on(said), said.partition("\n")[0]
    return None if what_to_do is None else f"{first_line}; {what_to_do}"
