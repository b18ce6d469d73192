"""What torch says between processes; `tests/integration/test_train_ranks.py` has several."""

import os
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
import torch
from torch.distributed import DistBackendError, DistNetworkError

from nmt.distributed.process_group import (
    LostProcessError,
    TorchProcessGroup,
    guarded,
    init_process_group,
)

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
def test_error_of_a_collective_is_reported_as_a_lost_process(error: Exception, told: str) -> None:
    with pytest.raises(
        LostProcessError, match=rf"torchrun: another process died .* \({told}\); read its messages$"
    ):
        guarded(lambda: fail(error))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"
        ),
        DistBackendError("NCCL error, Last error:\nCuda failure 2 'out of memory'"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        ValueError("no"),
    ],
)
def test_error_of_this_process_is_not_reported_as_a_lost_process(
    error: Exception,
) -> None:
    with pytest.raises(type(error)) as raised:
        guarded(lambda: fail(error))
    assert raised.value is error


# The second of two processes; stopped, it answers no more, and none of its connections is closed.
STOPPING = """
import os
import signal
from nmt.distributed.process_group import init_process_group

with init_process_group() as group:
    group.all_gather(None)
    os.kill(os.getpid(), signal.SIGSTOP)
    group.all_gather(None)
"""


@pytest.mark.parametrize(
    "exchange",
    [
        "all_reduce_max",
        pytest.param("all_reduce", marks=pytest.mark.slow),
        pytest.param("gather", marks=pytest.mark.slow),
    ],
)
def test_collective_times_out_if_another_process_stops(
    exchange: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "RANK": "0"}
    for name, value in {**names, "TORCHELASTIC_RUN_ID": "x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("nmt.distributed.process_group._COLLECTIVE_TIMEOUT", timedelta(seconds=0.5))
    other = subprocess.Popen([sys.executable, "-c", STOPPING], env={**os.environ, "RANK": "1"})
    end = threading.Timer(20, other.kill)  # who waits for it then finds a connection closed
    end.start()
    try:
        with init_process_group() as group:
            assert isinstance(group, TorchProcessGroup)
            exchanges = {
                "all_reduce_max": lambda: group.all_reduce_max(1),
                "all_reduce": lambda: group.all_reduce(torch.ones(3)),
                "gather": lambda: group.gather(1),
            }
            group.all_gather(None)
            while os.waitpid(other.pid, os.WUNTRACED | os.WNOHANG) == (0, 0):
                time.sleep(0.01)
            with pytest.raises(LostProcessError, match=r"cannot be reached \(Timed out waiting"):
                exchanges[exchange]()
    finally:
        end.cancel()
        other.kill()
        other.wait()
