"""Several processes of torchrun that train together: equal to one, whatever dies."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.integration.test_ranks import TORCHRUN, pid_of

CONFIG = """
run: runs/one
seed: 3
device: cpu
precision: float32
data:
  train: {source: source.txt, target: target.txt}
  valid: {source: valid.txt, target: valid.txt}
  test: {source: valid.txt, target: valid.txt}
tokenizer: {name: sentencepiece, vocabulary_size: 40}
model:
  embedding: {size: 8, dropout: 0}
  encoder: {hidden_size: 8, dropout: 0}
  decoder: {hidden_size: 16, dropout: 0, output_dropout: 0}
training:
  batch_tokens: 90
  accumulate: 3
  max_epochs: 4
  ema_decay: 0.9
  validation: {metrics: [bleu], best: loss, num_samples: 1}
  early_stopping: {metric: loss, patience: 100}
  checkpoints: {every: 3, keep_last: 3, average_last: 2}
  log_every: 1
decoding: {batch_tokens: 40}
"""

# `nmt train` in which one process is killed, the first time that it comes to a place.
DYING = """
import os
import signal
import sys

from nmt.cli.main import main
from nmt.inference import batch_inference
from nmt.runs import checkpoint
from nmt.training import trainer

PLACES = {
    "update": (trainer, "all_reduce_gradients"),
    "validation": (batch_inference.BatchRunner, "evaluation"),
    "save": (checkpoint, "save_file"),
}

def dies_at(call, function):
    calls = []
    def dying(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return dying

place, rank, call, *words = sys.argv[1:]
if (os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]) == (rank, "0"):
    owner, name = PLACES[place]
    setattr(owner, name, dies_at(int(call), getattr(owner, name)))
sys.exit(main(words))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    rng = random.Random(1)
    lines = [
        " ".join("".join(rng.choices("abcdefg", k=2)) for _ in range(rng.randint(1, 9)))
        for _ in range(101)
    ]
    (folder / "source.txt").write_text("\n".join(lines) + "\n")
    (folder / "target.txt").write_text("\n".join(line[::-1] for line in lines) + "\n")
    (folder / "valid.txt").write_text("\n".join(lines[:30]) + "\n")
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "dying.py").write_text(DYING)
    return folder


Launch = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def launch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Launch:
    monkeypatch.chdir(folder)

    def run(number: int, *words: object) -> "subprocess.CompletedProcess[str]":
        command = [*TORCHRUN, str(number), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=280)

    return run


def metrics(run: str) -> list[dict[str, Any]]:
    lines = Path(run, "metrics.jsonl").read_text().splitlines()
    times = {"seconds", "tokens_per_second"}
    return [{k: v for k, v in json.loads(line).items() if k not in times} for line in lines]


def assert_equal(run: str, other: str) -> None:
    """In all that was measured, to 1e-5, and so in the weights."""
    for left, right in zip(metrics(run), metrics(other), strict=True):
        assert left.keys() == right.keys()
        for key, value in left.items():
            near = value if key == "kind" else pytest.approx(value, rel=1e-5, abs=1e-5)
            assert right[key] == near, (left, right)
    left, right = (
        load_file(Path(name, "checkpoints/best/model.safetensors")) for name in (run, other)
    )
    for name, weight in left.items():
        assert (weight - right[name]).abs().max() < 1e-5


def weights(run: str) -> dict[str, bytes]:
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(Path(run).rglob("*.safetensors"))
    }


@pytest.fixture(scope="module")
def one(folder: Path) -> str:
    command = [sys.executable, "-m", "nmt", "train", "config.yaml"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return "runs/one"


@pytest.mark.parametrize("number", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_several_processes_train_as_one(number: int, launch: Launch, one: str) -> None:
    """Updates of three batches, the last ones of fewer; batches of one sentence are among them."""
    run = f"runs/{number}"
    result = launch(number, "-m", "nmt", "train", "config.yaml", f"run={run}")
    assert result.returncode == 0, result.stderr
    assert_equal(run, one)
    said = [line for line in result.stderr.splitlines() if line.startswith("validation at update")]
    assert len(said) == 4, "the first alone says it"
    assert json.loads(Path(run, "environment.json").read_text())["num_processes"] == number
    assert Path(run, "translations/test.txt").read_text().count("\n") == 30


@pytest.mark.slow
def test_sharded_optimizer_state_is_gathered_and_scattered(launch: Launch, one: str) -> None:
    words = ("-m", "nmt", "train", "config.yaml", "run=runs/sharded")
    sharded = "training.ranks.shard_optimizer=true"
    for number, updates, more in ((2, 4, ()), (3, 9, ("--resume",))):
        result = launch(number, *words, sharded, f"training.max_updates={updates}", *more)
        assert result.returncode == 0, result.stderr
    result = launch(2, *words, "--resume")
    assert result.returncode == 0, result.stderr
    assert_same_training("runs/sharded", one)


# A loss that is not finite once, in one process.
BAD_LOSS = """
import os

import torch

from nmt.training.objective.loss_term import LossTerm

calls = []

class BadLoss(LossTerm):
    def __call__(self, outputs):
        calls.append(outputs)
        is_bad = os.environ["RANK"] == "1" and len(calls) == 2
        return torch.tensor(torch.nan) if is_bad else None
"""


@pytest.mark.slow
@pytest.mark.parametrize("sharded", ["false", "true"])
def test_processes_skip_the_same_bad_update(launch: Launch, folder: Path, sharded: str) -> None:
    (folder / "bad_loss.py").write_text(BAD_LOSS)
    run = f"runs/bad_{sharded}"
    words = ("-m", "nmt", "train", "config.yaml", f"run={run}", "--plugin", "bad_loss.py")
    options = ("training.losses=[bad_loss.py:BadLoss]", "training.max_updates=4")
    result = launch(2, *words, *options, f"training.ranks.shard_optimizer={sharded}")
    assert result.returncode == 0, result.stderr
    skipped = [row["num_skipped"] for row in metrics(run) if row["kind"] == "train"]
    assert (len(skipped), skipped[-1]) == (4, 1)


@pytest.mark.slow
def test_gradients_in_16_bits_train_nearly_alike(launch: Launch, one: str) -> None:
    run = "runs/bfloat16"
    option = "training.ranks.gradients=bfloat16"
    result = launch(2, "-m", "nmt", "train", "config.yaml", f"run={run}", option)
    assert result.returncode == 0, result.stderr
    left, right = (metrics(name)[-1]["loss"] for name in (run, one))
    assert left != right
    assert left == pytest.approx(right, rel=1e-3)


@pytest.fixture(scope="module")
def unbroken(folder: Path) -> str:
    """Two processes with dropout, each with random numbers of its own."""
    words = ("-m", "nmt", "train", "config.yaml", "run=runs/unbroken", *DROPOUT)
    command = [*TORCHRUN, "2", *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return "runs/unbroken"


DROPOUT = ("model.decoder.output_dropout=0.3", "model.embedding.dropout=0.2")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "rank", "call"),
    [
        ("update", 0, 4),
        ("update", 1, 8),
        ("validation", 0, 5),
        ("validation", 1, 9),
        ("save", 0, 7),
        ("save", 0, 22),
    ],
)
def test_killed_process_restarts_all_with_the_same_result(
    place: str, rank: int, call: int, launch: Launch, unbroken: str
) -> None:
    run = f"runs/killed-{place}-{rank}-{call}"
    words = ("--max-restarts", 1, "dying.py", place, rank, call)
    result = launch(2, *words, "train", "config.yaml", f"run={run}", *DROPOUT)
    assert result.returncode == 0, result.stderr
    assert "exitcode: -9" in result.stderr and "free disk space" not in result.stderr
    assert "Traceback" not in result.stderr, "the others take it for the death that it is"
    assert weights(run) == weights(unbroken)
    assert metrics(run) == metrics(unbroken)


@pytest.mark.slow
def test_run_resumes_with_another_number_of_processes(launch: Launch, one: str) -> None:
    words = ("-m", "nmt", "train", "config.yaml", "run=runs/changing")
    for number, updates in ((2, 4), (3, 9), (1, 100)):
        more = ("--resume", f"training.max_updates={updates}") if number != 2 else ()
        limit = f"training.max_updates={updates}"
        result = launch(number, *words, limit, *more[:1])
        assert result.returncode == 0, result.stderr
    assert_same_training("runs/changing", one)


def assert_same_training(run: str, other: str) -> None:
    """Each leg ends with a validation more, so that only the updates are compared."""
    both = ([row for row in metrics(name) if row["kind"] == "train"] for name in (run, other))
    for left, right in zip(*both, strict=True):
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for them in /proc")
def test_a_signal_to_any_of_them_ends_all_at_the_same_update(launch: Launch, one: str) -> None:
    words = ("-m", "nmt", "train", "config.yaml", "run=runs/stopped")
    command = [*TORCHRUN, "2", *words, "training.max_epochs=400"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not Path("runs/stopped/checkpoints/last").exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.1)
    os.kill(pid_of(1, process.pid), signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert "interrupted at update" in told and "--resume continues" in told


@pytest.mark.slow
def test_existing_run_is_refused_once(launch: Launch, one: str) -> None:
    """A restart by torchrun goes on with what that torchrun has begun, and with nothing else."""
    before = weights(one)
    words = ("--max-restarts", 1, "-m", "nmt", "train", "config.yaml")
    result = launch(2, *words)
    assert result.returncode != 0
    (refusal,) = told(result)
    assert "already holds a run" in refusal
    assert result.stderr.rstrip("=\n").endswith(
        f"{refusal} (see above; the traceback is torchrun's)"
    )
    assert weights(one) == before


@pytest.mark.slow
def test_different_facts_of_ranks_are_named(launch: Launch, folder: Path) -> None:
    (folder / "unlike.py").write_text(
        "import os, sys\n"
        "from nmt.cli.main import main\n"
        "words = sys.argv[1:] + (['seed=4'] if os.environ['RANK'] == '1' else [])\n"
        "sys.exit(main(words))\n"
    )
    result = launch(2, "unlike.py", "train", "config.yaml", "run=runs/unlike")
    assert told(result) == [
        "nmt: error: rank 1 of torchrun differs from rank 0: seed (3 -> 4); give all machines the "
        "same files, options and versions"
    ]
    assert not Path("runs/unlike").exists()


@pytest.mark.slow
def test_file_missing_on_one_rank_is_named(launch: Launch, folder: Path) -> None:
    (folder / "lacking.py").write_text(
        "import os, sys\n"
        "from nmt.cli.main import main\n"
        "if os.environ['RANK'] == '1':\n"
        "    os.mkdir('elsewhere')\n"
        "    os.chdir('elsewhere')\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    config = folder / "config.yaml"
    result = launch(2, "lacking.py", "train", config, "run=runs/lacking")
    error = "nmt: error: rank 1: data.train.source: source.txt: no such file"
    assert error in result.stderr
    assert not Path("runs/lacking").exists()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_training_error_is_reported_once_and_not_retried(
    rank: int, launch: Launch, folder: Path
) -> None:
    """Nor is it told that the other, which cannot go on without this one, is lost."""
    (folder / "failing.py").write_text(
        "import os, sys\n"
        "from nmt.cli.main import main\n"
        "from nmt.core.errors import UserError\n"
        "from nmt.training import trainer\n"
        "def fails(*arguments):\n"
        "    print('a try', file=sys.stderr)\n"
        "    raise UserError('no more')\n"
        f"if os.environ['RANK'] == '{rank}':\n"
        "    trainer.all_reduce_gradients = fails\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = ("--max-restarts", 2, "failing.py", "train", "config.yaml", f"run=runs/failing-{rank}")
    result = launch(2, *words)
    assert result.returncode != 0
    assert told(result) == [f"nmt: error: {'rank 1: ' if rank else ''}no more"]
    assert result.stderr.count("a try") == 1


@pytest.mark.slow
def test_error_of_all_ranks_is_printed_once(launch: Launch) -> None:
    words = ("--max-restarts", 2, "-m", "nmt", "train", "config.yaml", "data.train.source=none")
    result = launch(2, *words, "run=runs/none")
    assert result.returncode != 0
    (line,) = told(result)
    assert line.startswith("nmt: error: data.train.source: none: no such file")


def told(result: "subprocess.CompletedProcess[str]") -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("nmt: error")]


@pytest.mark.slow
def test_a_port_that_is_taken(launch: Launch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = ("--master-port", port, "-m", "nmt", "train", "config.yaml", "run=runs/port")
        result = launch(2, *words)
    assert result.returncode != 0
    assert "address already in use" in result.stderr
