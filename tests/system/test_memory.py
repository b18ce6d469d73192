import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nmt.system import memory
from nmt.system.memory import free_memory, is_out_of_memory, peak_memory, reset_peak_memory

CPU = torch.device("cpu")


SCRIPT = """
import torch
from nmt.system.memory import peak_memory, reset_peak_memory

cpu, megabyte = torch.device("cpu"), 2**20
reset_peak_memory(cpu)
torch.ones(200 * megabyte, dtype=torch.uint8)
high, now = peak_memory(cpu), reset_peak_memory(cpu)
torch.ones(50 * megabyte, dtype=torch.uint8)
print((high - now) // megabyte, (peak_memory(cpu) - now) // megabyte)
"""


@pytest.mark.skipif(not memory._CLEAR.exists(), reason="the peak can be reset on Linux alone")
def test_peak_memory_counts_from_the_reset() -> None:
    """In a process in which no freed memory waits to be used again."""
    command = [sys.executable, "-c", SCRIPT]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    first, second = map(int, output.split())
    assert 150 < first < 260
    assert 30 < second < 90


def test_free_memory_is_limited_by_machine_and_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_MEMORY", "_LIMIT", "_USED", "_USED_FOR"):
        monkeypatch.setattr(memory, name, tmp_path / name)
    (tmp_path / "_MEMORY").write_text("MemTotal:  9000 kB\nMemAvailable:    5000 kB\n")
    assert free_memory(CPU) == 5000 * 1024
    (tmp_path / "_LIMIT").write_text("max\n")
    assert free_memory(CPU) == 5000 * 1024
    (tmp_path / "_LIMIT").write_text("4000000\n")
    (tmp_path / "_USED").write_text("1000000\n")
    assert free_memory(CPU) == 3000000
    used_for = "anon 300000\nfile 700000\ninactive_file 500000\nactive_file 100000\nslab 9\n"
    (tmp_path / "_USED_FOR").write_text(used_for)
    assert free_memory(CPU) == 3600000, "files that were read make room"
    (tmp_path / "_LIMIT").write_text("99000000\n")
    assert free_memory(CPU) == 5000 * 1024


def test_free_memory_is_half_of_the_physical_on_other_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_MEMORY", "_LIMIT", "_STATUS", "_CLEAR"):
        monkeypatch.setattr(memory, name, tmp_path / "none" / name)
    assert free_memory(CPU) > 2**28
    assert reset_peak_memory(CPU) == peak_memory(CPU) > 2**24


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"), True),
        (RuntimeError("in rank 1:\ntorch.OutOfMemoryError: CUDA out of memory."), True),
        (RuntimeError("NCCL error, Last error:\nCuda failure 2 'out of memory'"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("not enough memory"), False),
    ],
)
def test_out_of_memory_errors_are_recognised(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected
