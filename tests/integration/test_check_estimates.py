"""Whether what `nmt check` estimates is what a training then takes."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file

from nmt.cli import check
from nmt.core.batch import Batch

from .conftest import Command

SECONDS_PER_TOKEN = 0.03


def told(lines: list[str]) -> dict[str, str]:
    return {line[:16].strip(): line[16:] for line in lines if not line.startswith("  ")}


def number(text: str) -> float:
    found = re.search(r"[0-9][0-9,]*(\.[0-9]+)?", text)
    assert found is not None
    return float(found[0].replace(",", ""))


@pytest.fixture
def steady_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an update take 0.03 s for each target token, whatever this machine does."""
    now = 0.0
    make_update = check.make_update

    def takes(state: Any, batch: Batch) -> float:
        nonlocal now
        now += SECONDS_PER_TOKEN * batch.num_target_tokens
        return make_update(state, batch)

    monkeypatch.setattr(check, "make_update", takes)
    monkeypatch.setattr(check, "time", SimpleNamespace(perf_counter=lambda: now))


@pytest.mark.usefixtures("steady_machine")
def test_check_reports_sizes_batches_and_time_of_training(nmt: Command, in_trained: Path) -> None:
    results = json.loads(Path("runs/tiny/results.json").read_text())
    metadata = json.loads(Path("runs/tiny/checkpoints/last/metadata.json").read_text())
    tokens, epochs = metadata["counters"]["num_tokens"], results["epochs"]
    assert epochs == 16
    found = told(nmt("check", "tiny.yaml", "training.num_threads=1").lines)
    weights = load_file("runs/tiny/checkpoints/best/model.safetensors")
    assert number(found["parameters"]) == sum(tensor.numel() for tensor in weights.values())
    assert number(found["parameters"]) == results["num_parameters"]
    batches, per_batch = found["batches"].split(" an epoch, ")
    assert number(batches) == pytest.approx(results["updates"] / epochs, abs=1)
    assert number(per_batch) == pytest.approx(tokens / results["updates"], rel=0.1)
    assert number(found["speed"]) == pytest.approx(1 / SECONDS_PER_TOKEN, abs=1)
    epoch, whole = re.findall(r"\d+ (?:s|min|h)", found["time"])
    assert epoch.endswith(" s")
    assert number(epoch) == pytest.approx(tokens / epochs * SECONDS_PER_TOKEN, rel=0.05)
    assert whole.endswith(" min")
    assert number(whole) * 60 == pytest.approx(tokens * SECONDS_PER_TOKEN, rel=0.1)
    before = re.search(r"loss ([\d.]+) before .* \(chance: ([\d.]+)\)", found["largest batch"])
    assert before is not None
    assert float(before[1]) == pytest.approx(float(before[2]), abs=1.0)


def test_the_memory_of_weights_gradients_and_optimizer_by_hand(
    nmt: Command, in_trained: Path
) -> None:
    large = ("model.decoder.hidden_size=512", "training.ema_decay=0.9")
    found = told(nmt("check", "tiny.yaml", *large).lines)
    weights = 4 * number(found["parameters"]) / 2**20
    parts = {
        name: number(size)
        for name, size in re.findall(r"([a-z ]+) ([0-9,]+)[,)]", found["memory"].partition("(")[2])
    }
    assert parts["weights"] == pytest.approx(weights, abs=0.6)
    assert parts[" gradients"] == pytest.approx(weights, abs=0.6)
    assert parts[" optimizer"] == pytest.approx(2 * weights, abs=0.6)
    assert parts[" moving average"] == pytest.approx(weights, abs=0.6)
    assert number(found["memory"]) == pytest.approx(sum(parts.values()), abs=3)
    assert number(found["memory"]) < 5 * weights + 100


PEAK = """
import sys
import safetensors.torch
import torch
from nmt.cli.main import main
from nmt.system.memory import peak_memory

def save_after_updates(*arguments, original=safetensors.torch.save_file, **options):
    peaks.append(peak_memory(torch.device("cpu")))
    return original(*arguments, **options)

peaks = []
safetensors.torch.save_file = save_after_updates
code = main(sys.argv[1:])
print(peaks[0])
sys.exit(code)
"""
"""Train, and print the peak of the memory before the first checkpoint, which is written from it."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_training_takes_the_memory_that_is_estimated(nmt: Command, in_copy: Path) -> None:
    """All updates come before the first checkpoint here; the rest of a process is subtracted."""
    large = [
        "model.embedding.size=512",
        "model.encoder.hidden_size=1024",
        "model.decoder.hidden_size=1536",
        "training.batch_tokens=2000",
    ]

    def peak(run: str, *options: str) -> float:
        words = ("train", "tiny.yaml", f"run=runs/{run}", "training.max_updates=4", *options)
        command = [sys.executable, "-c", PEAK, *words, "data.valid=null", "data.test=null"]
        command += ["training.early_stopping=null", "training.validation={metrics: [], best: loss}"]
        ended = subprocess.run(command, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return int(ended.stdout.split()[-1]) / 2**20

    estimate = number(told(nmt("check", "tiny.yaml", *large).lines)["memory"])
    assert estimate > 200
    taken = peak("large", *large) - peak("small")
    assert 0.7 * estimate < taken < 1.6 * estimate
