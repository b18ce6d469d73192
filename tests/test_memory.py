from pathlib import Path

import pytest
import torch

from nmt import memory
from nmt.memory import free_memory, peak, start_peak

CPU = torch.device("cpu")
MEGABYTE = 2**20


def test_the_peak_counts_from_its_start() -> None:
    start_peak(CPU)
    torch.ones(200 * MEGABYTE, dtype=torch.uint8)
    high = peak(CPU)
    now = start_peak(CPU)
    assert high - now > 150 * MEGABYTE
    torch.ones(50 * MEGABYTE, dtype=torch.uint8)
    assert 30 * MEGABYTE < peak(CPU) - now < 100 * MEGABYTE


def test_free_memory_is_what_the_machine_and_the_container_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_MEMORY", "_LIMIT", "_USED"):
        monkeypatch.setattr(memory, name, tmp_path / name)
    (tmp_path / "_MEMORY").write_text("MemTotal:  9000 kB\nMemAvailable:    5000 kB\n")
    assert free_memory(CPU) == 5000 * 1024
    (tmp_path / "_LIMIT").write_text("max\n")
    assert free_memory(CPU) == 5000 * 1024
    (tmp_path / "_LIMIT").write_text("4000000\n")
    (tmp_path / "_USED").write_text("1000000\n")
    assert free_memory(CPU) == 3000000


def test_of_another_system_half_of_what_is_there_is_taken_for_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_MEMORY", "_LIMIT", "_STATUS", "_CLEAR"):
        monkeypatch.setattr(memory, name, tmp_path / "none" / name)
    assert free_memory(CPU) > 2**28
    assert start_peak(CPU) == peak(CPU) > 2**24
