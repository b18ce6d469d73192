"""The script for Slurm, with stand-ins for the commands of the cluster."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "train.slurm"


@pytest.fixture
def submit(tmp_path: Path):
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, line in (("scontrol", "printf 'node7\\nnode8\\n'"), ("srun", 'printf "%s\\n" "$@"')):
        (commands / name).write_text(f"#!/bin/sh\n{line}\n")
        (commands / name).chmod(0o755)
    corpus = "{source: a, target: b}"
    (tmp_path / "mine.yaml").write_text(
        f"run: runs/mine\ndata: {{train: {corpus}, valid: {corpus}}}\n"
    )

    def run(*words: str, **others: str) -> "subprocess.CompletedProcess[str]":
        given = {
            **{"SLURM_JOB_NODELIST": "node[7-8]", "SLURM_NNODES": "2", "SLURM_JOB_ID": "41234"},
            **{"SLURM_CPUS_PER_TASK": "16", "PROCESSES": "4", "PYTHON": sys.executable},
            "PATH": f"{commands}:{os.environ['PATH']}",
            **others,
        }
        return subprocess.run(
            ["bash", SCRIPT, *words],
            cwd=tmp_path,
            env={**os.environ, **given},
            capture_output=True,
            text=True,
        )

    return run


def test_starts_all_machines_and_resumes_an_existing_run(submit, tmp_path: Path) -> None:
    expected = [
        *("--kill-on-bad-exit=1", sys.executable, "-m", "torch.distributed.run"),
        *("--nnodes", "2", "--nproc-per-node", "4", "--max-restarts", "9"),
        *("--rdzv-id", "41234", "--rdzv-backend", "c10d", "--rdzv-endpoint", "node7:21234"),
        *("-m", "nmt", "train", "mine.yaml", "run=runs/other"),
    ]
    assert submit("mine.yaml", "run=runs/other").stdout.splitlines() == expected
    (tmp_path / "runs/other").mkdir(parents=True)
    (tmp_path / "runs/other/config.yaml").touch()
    started = submit("mine.yaml", "run=runs/other")
    assert started.stdout.splitlines() == [*expected, "--resume"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "train.slurm: a configuration is missing; submit it as train.slurm configs/mine.yaml"),
        (("none.yaml",), "none.yaml: no such file"),
        (("mine.yaml", "--overwrite"), "--overwrite: options are not supported"),
    ],
)
def test_errors_are_reported_before_the_start(words: tuple[str, ...], reason: str, submit) -> None:
    refused(submit(*words), reason)


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        (
            "SLURM_JOB_ID",
            "",
            "SLURM_JOB_ID: not set; submit the script with sbatch scripts/train.slurm",
        ),
        (
            "PYTHON",
            "nowhere/python",
            "nowhere/python: not found; submit the script from the folder with .venv",
        ),
    ],
)
def test_missing_job_or_interpreter_is_reported(
    variable: str, value: str, reason: str, submit
) -> None:
    refused(submit("mine.yaml", **{variable: value}), reason)


def refused(started: "subprocess.CompletedProcess[str]", reason: str) -> None:
    assert started.returncode != 0
    assert started.stdout == ""
    assert started.stderr.startswith(f"nmt: error: {reason}")
    assert started.stderr.count("\n") == 1
