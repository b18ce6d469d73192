import errno
import os

import pytest

from nmt.core.errors import UserError, explain_system_error, os_reason
from nmt.system.memory import is_out_of_memory


@pytest.mark.parametrize(
    ("code", "what_to_do"),
    [
        (errno.ENOSPC, "free disk space"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOMEM, "ulimit -v"),
        (errno.EROFS, "choose a folder on a writable file system"),
        (errno.EIO, "check the disk, or choose a folder on another one"),
        (errno.ENFILE, "close other programs, as the system has too many files open"),
        (errno.EAGAIN, "raise the limit on processes (ulimit -u), or use fewer processes"),
    ],
)
def test_system_error_is_one_line_with_path_and_remedy(code: int, what_to_do: str) -> None:
    for error, place in (
        (OSError(code, os.strerror(code), "out.txt"), "out.txt: "),
        (OSError(code, os.strerror(code)), ""),
    ):
        told = explain_system_error(error)
        assert told is not None
        assert told.startswith(f"{place}{os.strerror(code)}; ")
        assert what_to_do in told
        assert told == place + os_reason(error)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "memory: Cannot allocate memory; free memory"),
        (
            ImportError("libtorch_cpu.so: failed to map segment from shared object"),
            "libtorch_cpu.so: failed to map segment from shared object; free memory",
        ),
        (
            RuntimeError(
                "unable to open shared memory object </torch_1>: Too many open files (24)"
            ),
            "unable to open shared memory object </torch_1>: Too many open files (24); raise the",
        ),
        (RuntimeError("can't start new thread"), "can't start new thread; raise the limit on proc"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes\nC++ stack"),
            "DefaultCPUAllocator: can't allocate memory: 8 bytes; free memory",
        ),
    ],
)
def test_library_error_with_the_text_of_a_system_error_is_explained(
    error: Exception, told: str
) -> None:
    assert (explain_system_error(error) or "").startswith(told)
    assert is_out_of_memory(error) == (
        isinstance(error, MemoryError) or "can't allocate memory" in str(error)
    )


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Too many open files"),
        RuntimeError("shapes do not match"),
        OSError("of no kind"),
        UserError("No space left on device"),
    ],
)
def test_other_errors_are_not_explained(error: Exception) -> None:
    assert explain_system_error(error) is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), "x: No such file"),
        (OSError(errno.EFBIG, "larger than 500,000 bytes", "x"), "x: larger than 500,000 bytes"),
        (
            FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
            "No usable temporary directory found in ['/tmp']; set TMPDIR to a writable folder, "
            "or free disk space",
        ),
    ],
)
def test_system_error_with_a_file_is_one_line(error: OSError, told: str) -> None:
    assert (explain_system_error(error) or "").startswith(told)


def test_gpu_out_of_memory_does_not_advise_ulimit() -> None:
    error = RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nmore")
    assert explain_system_error(error) == (
        "CUDA out of memory. Tried to allocate 2 GiB; stop other programs on the GPU, or use "
        "smaller batches"
    )
