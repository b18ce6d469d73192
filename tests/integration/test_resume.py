"""A run that was killed and resumed is the run that nobody disturbed, byte for byte."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nmt

NUM_PAIRS = 120
NUM_UPDATES = 48
CONFIG = """
run: {run}
seed: 3
device: cpu
precision: float32
data:
  train: {{source: {folder}/source.txt, target: {folder}/target.txt}}
  valid: {{source: {folder}/source.txt, target: {folder}/target.txt}}
tokenizer: {{name: sentencepiece, vocabulary_size: 40, sampling_alpha: 0.5}}
model:
  embedding: {{size: 8, dropout: 0.1, word_dropout: 0.1}}
  encoder: {{hidden_size: 8}}
  decoder: {{hidden_size: 8, cell: lstm}}
training:
  batch_tokens: null
  batch_sentences: 8
  accumulate: 2
  max_epochs: null
  max_updates: {num_updates}
  ema_decay: 0.9
  schedule: {{name: plateau, warmup: 4, patience: 1}}
  scheduled_sampling: {{start: 2, end: 20, probability: 0.5}}
  validation: {{every: 12, metrics: [], best: loss, num_samples: 0}}
  early_stopping: {{metric: loss, patience: 100}}
  checkpoints: {{every: 5, keep_last: 3, average_last: 2}}
  log_every: 1
"""


class Run:
    """A training in a process of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        self.config = folder / f"{name}.yaml"
        self.config.write_text(
            CONFIG.format(run=self.path, folder=folder, num_updates=NUM_UPDATES)
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(Path(nmt.__file__).parents[1])}
        return subprocess.Popen(
            [sys.executable, "-m", "nmt", "train", str(self.config), *options],
            env=environment,
            stderr=subprocess.PIPE,
        )

    def finish(self, *options: str) -> str:
        process = self.start(*options)
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr.decode()
        return stderr.decode()

    def metrics(self) -> list[dict[str, Any]]:
        lines = (self.path / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def latest_update(self) -> int:
        try:
            text = (self.path / "metrics.jsonl").read_text()
        except FileNotFoundError:
            return 0
        complete = [line for line in text.split("\n")[:-1] if line]
        return json.loads(complete[-1])["update"] if complete else 0

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.path)): path.read_bytes()
            for path in sorted(self.path.rglob("*.safetensors"))
        }

    def wait_for_update(self, process: subprocess.Popen[bytes], update: int) -> None:
        end = time.monotonic() + 60
        while self.latest_update() < update:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < end
            time.sleep(0.005)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume")
    rng = random.Random(1)
    lines = [
        " ".join("".join(rng.choices("abcdefg", k=3)) for _ in range(rng.randint(1, 5)))
        for _ in range(NUM_PAIRS)
    ]
    (folder / "source.txt").write_text("\n".join(lines) + "\n")
    (folder / "target.txt").write_text("\n".join(line[::-1] for line in lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def unbroken(corpus: Path) -> Run:
    run = Run(corpus, "unbroken")
    run.finish()
    return run


def kill_points() -> Iterator[int]:
    """A third of the way each, anywhere in it: within epochs, at saves, at validations."""
    rng = random.Random()
    third = NUM_UPDATES // 3
    for part in range(3):
        yield part * third + rng.randint(2, third - 2)


def without_times(metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    times = {"seconds", "tokens_per_second"}
    return [{key: row[key] for key in row if key not in times} for row in metrics]


def test_killed_three_times_it_is_the_unbroken_run(corpus: Path, unbroken: Run) -> None:
    run = Run(corpus, "killed")
    points = list(kill_points())
    for number, point in enumerate(points):
        process = run.start(*(["--resume"] if number else []))
        run.wait_for_update(process, point)
        time.sleep(random.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    run.finish("--resume")
    assert run.files() == unbroken.files(), f"killed at updates {points}"
    assert without_times(run.metrics()) == without_times(unbroken.metrics())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_update_and_saves(
    corpus: Path, unbroken: Run, number: signal.Signals, code: int
) -> None:
    run = Run(corpus, f"signal-{code}")
    process = run.start()
    run.wait_for_update(process, 7)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr.decode()
    assert b"--resume goes on" in stderr
    counters = json.loads((run.path / "checkpoints/last/metadata.json").read_text())["counters"]
    assert counters["update"] == run.latest_update()
    run.finish("--resume")
    assert run.files() == unbroken.files()


def test_a_finished_run_is_left_alone(unbroken: Run) -> None:
    before = unbroken.files()
    message = unbroken.finish("--resume")
    assert f"the run is finished already: max_updates ({NUM_UPDATES}) reached" in message
    assert unbroken.files() == before
