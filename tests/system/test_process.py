import logging
import os
import platform
import subprocess
import sys

import pytest

from nmt.core.console import ONCE
from nmt.system.process import (
    FOR_SEARCH,
    EscapingFormatter,
    OnceFilter,
    limit_kernel_caches,
    limit_spinning,
    num_cores,
    num_threads,
)


@pytest.mark.parametrize(
    ("given", "expected"), [(None, 6), ("", 6), ("0", 6), ("x", 6), ("1", 1), ("8", 8)]
)
def test_threads_are_those_of_omp_num_threads_or_one_per_core(
    given: str | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS")
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert num_threads() == expected
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
@pytest.mark.parametrize("num_bytes", [1000, 2**26], ids=["small", "large"])
def test_memory_of_all_threads_lies_in_one_heap_that_is_kept(num_bytes: int) -> None:
    program = (
        "import ctypes, threading\n"
        "from nmt.system.process import keep_freed_memory\n"
        "keep_freed_memory()\n"
        "malloc = ctypes.CDLL(None).malloc\n"
        "malloc.restype, malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]\n"
        "found = []\n"
        f"thread = threading.Thread(target=lambda: found.append(malloc({num_bytes})))\n"
        "thread.start(); thread.join()\n"
        "for line in open('/proc/self/maps'):\n"
        "    start, end = (int(text, 16) for text in line.split()[0].split('-'))\n"
        "    if start <= found[0] < end: print(line.split()[-1])\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[heap]\n"


def test_log_lines_are_escaped_after_formatting() -> None:
    record = logging.LogRecord("nmt", logging.WARNING, "x", 1, "%s", ("a\x1bb",), None)
    assert EscapingFormatter().format(record) == r"a\x1bb"


def test_warning_marked_once_is_shown_once_by_each_handler() -> None:
    def record(text: str, **fields: object) -> logging.LogRecord:
        return logging.makeLogRecord({"msg": text, **fields})

    first, second = OnceFilter(), OnceFilter()
    assert [bool(first.filter(record("a", **ONCE))) for _ in range(3)] == [True, False, False]
    assert first.filter(record("b", **ONCE))
    assert second.filter(record("a", **ONCE))
    assert all(first.filter(record("c")) for _ in range(3))
