"""Several processes of torchrun that translate together."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from nmt.core.errors import RunError
from nmt.distributed.process_group import init_process_group
from tests.integration.conftest import Command

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node")


def start(number: int, *words: object, **options: object) -> "subprocess.Popen[str]":
    command = [*TORCHRUN, str(number), *map(str, words)]
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, **options
    )


def pid_of(rank: int, launcher: int) -> int:
    """The process that a launcher has started as this rank."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = re.search(r"^PPid:\s+(\d+)", (folder / "status").read_text(), re.M)
                facts = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if parent and int(parent[1]) == launcher and f"RANK={rank}".encode() in facts:
                return int(folder.name)
        time.sleep(0.1)
    raise AssertionError("it was not started")


@pytest.mark.parametrize("number", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_ranks_write_the_same_as_one_process(number: int, nmt: Command, in_copy: Path) -> None:
    lines = Path("train.en").read_text().splitlines()[:60]
    Path("some.en").write_text("\n".join(["", *lines, "unseen words", "one"]) + "\n")
    words = ("translate", "runs/tiny", "some.en", "--n-best", 2, "--batch-tokens", 50)
    one = nmt(*words, "-o", "one.de", "--alignments", "one.align")
    assert one.code == 0
    process = start(number, "-m", "nmt", *words, "-o", "all.de", "--alignments", "all.align")
    _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    for name in ("de", "align"):
        assert Path(f"all.{name}").read_bytes() == Path(f"one.{name}").read_bytes()
    # What is told is told once, by the first.
    warnings = [line for line in told.splitlines() if line.startswith("nmt: ")]
    assert warnings == one.err.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for them in /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_death_of_a_rank_ends_all_and_keeps_partial_output(rank: int, in_copy: Path) -> None:
    reading, writing = os.pipe()
    with open(writing, "wb", buffering=0) as stream:
        words = ("translate", "runs/tiny", "-o", "out.de", "--batch-tokens", 400)
        process = start(2, "-m", "nmt", *words, stdin=reading)
        os.close(reading)
        stream.write(b"one two .\n" * 9000)  # two windows and more; the rest never comes
        end = time.monotonic() + 60
        partial = Path("out.de.partial")
        while not partial.exists() or not partial.stat().st_size:
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.1)
        os.kill(pid_of(rank, process.pid), signal.SIGKILL)
        _, told = process.communicate(timeout=60)
    assert process.returncode != 0, told
    assert not Path("out.de").exists() and partial.exists()


DYING = """
import os, signal, sys
from nmt.core.errors import RunError
from nmt.distributed.process_group import init_process_group
from nmt.distributed.rank_pool import RankPool

def job(tool, kind):
    if kind == "die" and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return tool * kind

def main():
    with init_process_group() as group:
        ranks = RankPool(2, group)
        if not group.is_first:
            ranks.serve()
            return
        print(list(ranks.map(job, ((n,) for n in range(27)))), list(ranks.map(job, [])), flush=True)
        try:
            list(ranks.map(job, [("x",), ([],), ({},)]))
        except RuntimeError as error:
            print("TypeError" in str(error), flush=True)
        try:
            list(ranks.map(job, [("die",), ("die",)]))
        except RunError as error:
            print("another process died" in str(error), flush=True)

main()
"""


MEETING = """
import os
from nmt.distributed.process_group import init_process_group
from nmt.distributed.rank_pool import RankPool

try:
    with init_process_group() as group:
        RankPool(2, group).require_same(os.environ["RANK"])
except Exception as error:
    print(error, flush=True)
"""


@pytest.mark.slow
def test_ranks_with_different_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "meeting.py").write_text(MEETING)
    process = start(2, tmp_path / "meeting.py", stdout=subprocess.PIPE)
    found, _ = process.communicate(timeout=120)
    assert found.count("rank 1 of torchrun: differs from rank 0 in its model") == 2


@pytest.mark.slow
def test_results_are_in_order_and_death_of_a_rank_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "dying.py").write_text(DYING)
    process = start(2, tmp_path / "dying.py", stdout=subprocess.PIPE)
    found, _ = process.communicate(timeout=120)
    assert found.splitlines() == [f"{list(range(0, 54, 2))} []", "True", "True"]


REMEETING = """
import os
import signal
from nmt.distributed.process_group import init_process_group

with init_process_group() as group:
    if group.rank == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    group.all_gather(1)
    print("met", *group.all_gather(os.environ["TORCHELASTIC_RESTART_COUNT"]), flush=True)
"""


@pytest.mark.slow
def test_restart_on_one_machine_joins_all_again(tmp_path: Path) -> None:
    """Though the torchrun of each counts restarts of its own, and may not call this one of them."""
    (tmp_path / "meeting.py").write_text(REMEETING)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("--nnodes", 2, "--max-restarts", 2, "--rdzv-backend", "c10d", "--rdzv-id", "x")
    words = (*words, "--rdzv-endpoint", f"127.0.0.1:{port}", tmp_path / "meeting.py")
    machines = [start(1, *words, stdout=subprocess.PIPE) for _ in "12"]
    for machine in machines:
        found, _ = machine.communicate(timeout=120)
        assert found.startswith("met ")


def test_joining_times_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in (("ADDR", "127.0.0.1"), ("PORT", str(port))):
        monkeypatch.setenv(f"MASTER_{name}", value)
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setattr("nmt.distributed.process_group._JOIN_TIMEOUT", timedelta(seconds=1))
    with (
        pytest.raises(RunError, match="torchrun: not all processes joined within 1 s "),
        init_process_group(),
    ):
        pass


def test_workers_are_refused_under_torchrun(
    nmt: Command, in_trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "2"), ("RANK", "0")):
        monkeypatch.setenv(name, value)
    nmt("translate", "runs/tiny", "test.en", "--workers", 2).assert_refused(
        "--workers: cannot be combined with torchrun"
    )
    for command in ("score", "lexicon"):
        nmt(command, "runs/tiny").assert_refused(
            "torchrun: only train and translate support several processes", f"start `nmt {command}`"
        )
