"""What torch says between processes; `tests/integration/test_train_ranks.py` has several."""

import pytest
import torch
from torch.distributed import DistBackendError, DistNetworkError

from nmt.process_group import LostProcess, talk

GLOO = "[/build/third_party/gloo/gloo/transport/tcp"


def fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            RuntimeError(f"{GLOO}/pair.cc:553] Connection closed by peer [127.0.0.1]:553. This is"),
            r"Connection closed by peer \[127\.0\.0\.1\]:553",
        ),
        (
            RuntimeError(f"{GLOO}/pair.cc:537] Read error [::1]:99: Connection reset by peer"),
            r"Read error \[::1\]:99: Connection reset by peer",
        ),
        (RuntimeError(f"{GLOO}/pair.cc:301] writev [::1]:9: Broken pipe"), "writev .* Broken pipe"),
        (
            RuntimeError(f"{GLOO}/unbound_buffer.cc:78] Timed out waiting 3000ms for recv"),
            "Timed out waiting 3000ms for recv",
        ),
        (
            RuntimeError("Application timeout caused pair closure"),
            "Application timeout caused pair closure",
        ),
        (
            DistBackendError("NCCL error: remote process exited"),
            "NCCL error: remote process exited",
        ),
        (DistNetworkError("failed to recv, got 0 bytes"), "failed to recv, got 0 bytes"),
    ],
)
def test_the_death_of_another_is_told_as_such(error: Exception, told: str) -> None:
    with pytest.raises(LostProcess, match=rf"of torchrun has died \({told}\)$"):
        talk(lambda: fail(error))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"
        ),
        DistBackendError("NCCL error, Last error:\nCuda failure 2 'out of memory'"),
        RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
        RuntimeError(f"[enforce fail at {GLOO[1:]}/pair.cc:456] op.preamble.length <= op.nbytes"),
        ValueError("no"),
    ],
)
def test_what_goes_wrong_in_this_process_is_not_taken_for_the_death_of_another(
    error: Exception,
) -> None:
    with pytest.raises(type(error)) as raised:
        talk(lambda: fail(error))
    assert raised.value is error
