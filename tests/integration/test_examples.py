"""The examples in docs/examples, which the README shows, are short and run as they are."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


@pytest.mark.parametrize(("name", "most"), [("own_score.py", 12), ("own_loop.py", 30)])
def test_examples_are_short(name: str, most: int) -> None:
    """Blank lines and the docstring of the file do not count."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text), clean=False)
    assert docstring is not None
    lines = [line for line in text.replace(f'"""{docstring}"""', "").splitlines() if line.strip()]
    assert len(lines) <= most


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
