"""The benchmarks of translation, with a small run and one round."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

pytestmark = pytest.mark.slow  # each command is timed as a process of its own


def run_script(name: str, *arguments: str) -> list[str]:
    command = [sys.executable, str(SCRIPTS / name), *arguments, "--rounds", "1", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_textbook_search_has_the_bleu_of_nmt(in_trained: Path) -> None:
    _, _, *rows = run_script("benchmark_translation.py", "runs/tiny", "test.en", "test.de")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[:2] for row in cells] == [
        [beam, name] for beam in "51" for name in ("textbook, float32", "nmt, float32")
    ]
    scores = [float(row[-1]) for row in cells]
    assert scores[0] == scores[1] > 0
    assert scores[2] == scores[3] > 0


def test_one_sentence_is_timed_cold_and_warm(in_trained: Path) -> None:
    (row,) = run_script("benchmark_sentence.py", "test.en", "runs/tiny", "--words", "5")[2:]
    assert re.fullmatch(r"\| tiny \| [\d.]+ \([\d.]+\) \| \d+ \(\d+\) \|", row)
