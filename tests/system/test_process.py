import os
import subprocess
import sys

import pytest

from nmt.system.process import (
    FOR_SEARCH,
    limit_kernel_caches,
    limit_spinning,
    num_cores,
    num_threads,
)


@pytest.mark.parametrize(
    ("given", "num_processes", "expected"),
    [
        *((None, 1, 6), (None, 2, 3), (None, 4, 1), (None, 7, 1)),
        *(("", 1, 6), ("0", 2, 3), ("x", 1, 6)),
        *(("1", 1, 1), ("1", 4, 1), ("8", 1, 8), ("8", 3, 2)),
    ],
)
def test_processes_share_the_cores_or_omp_num_threads(
    given: str | None, num_processes: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS")
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert num_threads(num_processes) == expected
    assert num_cores() == 6


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": "10000"}),
        ({"GOMP_SPINCOUNT": "7"}, {"GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
    ],
)
def test_limit_spinning_keeps_a_wait_policy_of_the_environment(
    given: dict[str, str], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(given))
    limit_spinning()
    assert os.environ == expected


def test_command_limits_spinning_before_it_imports_torch() -> None:
    code = (
        "import os, sys, nmt.cli.main\n"
        "nmt.cli.main.main(['check'])\n"
        "print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    )
    unset = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept, capture_output=True, text=True, check=True
    )
    assert done.stdout == "10000 False\n"


def test_all_cores_count_without_an_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert num_threads() == 3


def test_cache_limits_of_the_environment_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "")  # so that it is put back as it was
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY")
    limit_kernel_caches(FOR_SEARCH)
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "64"
