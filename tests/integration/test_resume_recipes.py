"""An interrupted run is the unbroken one byte for byte, whatever the recipe."""

import json
import math
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.runs.checkpoint import load_checkpoint

from .test_resume import Run, send_at, write_lines

NUM_UPDATES = 12
SHORT = [f"training.max_updates={NUM_UPDATES}", "training.checkpoints.average_last=0"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipes")
    write_lines(folder)
    return folder


def two_corpora(folder: Path) -> list[str]:
    """Return options for one corpus seen every other epoch, and one seen two or three times."""
    source, target = ((folder / f"{name}.txt").read_text() for name in ("source", "target"))
    few = zip(target.splitlines()[:9], source.splitlines()[:9], strict=True)
    (folder / "few.tsv").write_text("".join(f"{one}\t{other}\n" for one, other in few))
    files = f"source: {folder}/source.txt, target: {folder}/target.txt"
    return [f"data.train=[{{{files}, weight: 0.5}}, {{tsv: {folder}/few.tsv, weight: 2.5}}]"]


def guided(folder: Path) -> list[str]:
    """Return options for guided attention and R-Drop, which excludes scheduled sampling."""
    lines = (folder / "source.txt").read_text().splitlines()
    links = [" ".join(f"{n}-{n}" for n in range(len(line.split()))) for line in lines]
    (folder / "links.txt").write_text("\n".join(links) + "\n")
    return [
        f"data.train.alignments={folder}/links.txt",
        "tokenizer.sampling_alpha=0",
        "training.guided_attention.weight=0.5",
        "training.r_drop=1",
        "training.scheduled_sampling=null",
        "training.coverage_loss=0.1",
    ]


RECIPES: dict[str, Any] = {
    "weighted corpora": two_corpora,
    "guided attention, R-Drop": guided,
    "sampled alignments, sgd": [
        "model.attention.alignment=hard",
        "training.optimizer={name: sgd, learning_rate: 0.5, momentum: 0.9, weight_decay: 0.01}",
    ],
    "bfloat16, adamw, inverse square root": [
        "precision=bfloat16",
        "training.optimizer={name: adamw, learning_rate: 0.01, weight_decay: 0.1}",
        "training.schedule={name: inverse_square_root, warmup: 3}",
    ],
}


def learning_rate(recipe: str, update: int) -> float:
    """Return what optimizer and schedule say: a warm-up of 4 updates where nothing else does."""
    if "inverse square root" in recipe:
        return 0.01 * (update / 3 if update < 3 else math.sqrt(3 / update))
    return (0.5 if "sgd" in recipe else 0.001) * min(1.0, update / 4)


@pytest.mark.parametrize("recipe", RECIPES)
def test_interrupted_run_equals_an_uninterrupted_one(
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: str,
) -> None:
    options = RECIPES[recipe]
    options = [*SHORT, *(options(corpus) if callable(options) else options)]
    unbroken, broken = (Run(corpus, f"{recipe}, {which}") for which in ("unbroken", "broken"))
    assert unbroken.train(*options) == 0
    send_at(monkeypatch, 7, signal.SIGTERM)
    assert broken.train(*options) == 143
    assert broken.latest_update() == 7
    assert broken.train("--resume", *options) == 0
    broken.assert_equal(unbroken)
    rows = [row for row in unbroken.metrics() if row["kind"] == "train"]
    for row in rows:
        assert row["learning_rate"] == pytest.approx(learning_rate(recipe, row["update"]))
    losses = [row["objective"] for row in rows]
    assert sum(losses[-3:]) < sum(losses[:3]), "it learns"


def test_processes_that_sample_subwords_change_nothing(
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unbroken, broken = Run(corpus, "without processes"), Run(corpus, "with processes")
    assert unbroken.train(*SHORT) == 0
    send_at(monkeypatch, 7, signal.SIGTERM)
    assert broken.train(*SHORT) == 143
    assert broken.train("--resume", *SHORT, "data.num_processes=1") == 0
    broken.assert_equal(unbroken)


# Updates so large that validations soon get worse.
WORSE = [
    "training.optimizer.learning_rate=0.7",
    "training.checkpoints={every: 4, average_last: 0}",
    "training.log_every=5",
    "training.validation.every=3",
]


def stopping(patience: int) -> list[str]:
    return [*WORSE, f"training.early_stopping={{metric: loss, patience: {patience}}}"]


@pytest.fixture(scope="module")
def stopped(corpus: Path) -> Run:
    run = Run(corpus, "stopped")
    assert run.train(*stopping(2)) == 0
    results = json.loads((run.path / "results.json").read_text())
    assert results["reason"] == "2 validations in a row without a better loss"
    assert results["best"]["without_best"] == 2
    assert results["updates"] < 24, "not at the limit"
    return run


@pytest.mark.parametrize("left", [1, 5])
def test_validations_without_a_better_one_count_across_a_resume(
    corpus: Path,
    stopped: Run,
    monkeypatch: pytest.MonkeyPatch,
    left: int,
) -> None:
    """So it stops where the other does, at the learning rates of the other."""
    run = Run(corpus, f"stopped-{left}")
    send_at(monkeypatch, stopped.latest_validation() - left, signal.SIGTERM)
    assert run.train(*stopping(2)) == 143
    assert run.train("--resume", *stopping(2)) == 0
    run.assert_equal(stopped)


def test_after_an_early_stop_a_larger_patience_continues(
    corpus: Path,
    stopped: Run,
) -> None:
    """It becomes what it would be with that patience from the start."""
    patient = Run(corpus, "patient")
    assert patient.train(*stopping(4)) == 0
    assert patient.latest_validation() > stopped.latest_validation()
    before = stopped.files()
    assert stopped.train("--resume", *stopping(2)) == 0
    assert stopped.files() == before, "there is nothing to do"
    assert stopped.train("--resume", *stopping(4)) == 0
    stopped.assert_equal(patient)


def test_bfloat16_learns_as_well_as_float32(
    corpus: Path,
) -> None:
    """Weights and their averages stay in float32; losses are near those of float32."""
    half, single = Run(corpus, "half"), Run(corpus, "single")
    rate = "training.optimizer.learning_rate=0.01"
    assert half.train(*SHORT, rate, "precision=bfloat16") == 0
    assert single.train(*SHORT, rate) == 0
    environment = json.loads((half.path / "environment.json").read_text())
    assert environment["precision"] == "bfloat16"
    losses = [
        [row["loss"] for row in run.metrics() if row["kind"] == "train"] for run in (half, single)
    ]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert losses[0][-1] < losses[0][0]
    tensors = load_checkpoint(half.path / "checkpoints/last").tensors
    kinds = {tensor.dtype for part in ("model", "ema") for tensor in tensors[part].values()}
    assert kinds == {torch.float32}
