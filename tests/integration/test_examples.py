"""The examples in docs/examples, which the README shows, are short and run as they are."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


def test_examples_are_short() -> None:
    score, loop = ((EXAMPLES / name).read_text() for name in ("own_score.py", "own_loop.py"))
    code = [line for line in score.splitlines() if line and not line.startswith("#")]
    assert len(code) <= 12
    assert len(loop.splitlines()) <= 30


def test_a_loop_of_ones_own_trains_a_model_that_translates() -> None:
    done = subprocess.run(
        [sys.executable, "own_loop.py"], cwd=EXAMPLES, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["a", "woman", "runs"]


def test_a_score_of_ones_own_is_trained_and_translates(nmt: Any, in_copy: Path) -> None:
    shutil.copy(EXAMPLES / "own_score.py", ".")
    chosen = ["--plugin", "own_score.py"]
    named = "model.attention.score={name: own_score.py:Distance, sharpness: 0.5}"
    short = ["run=runs/own", "training.max_updates=2", named]
    outcome = nmt("train", "tiny.yaml", *short, *chosen)
    assert outcome.code == 0, outcome.err
    outcome = nmt("translate", "runs/own", *chosen, stdin=b"Tom sleeps.\nTom sleeps.\n")
    assert outcome.code == 0 and len(outcome.lines) == 2, outcome.err
