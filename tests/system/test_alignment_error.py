"""Attention aligns the toy language, and two directions together no worse than one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ERROR = re.compile(r"alignment error rate ([\d.]+)%")


def run(*arguments: object) -> str:
    """What a command writes to stderr."""
    command = [sys.executable, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def test_two_directions_are_no_worse_than_one(tmp_path: Path) -> None:
    run("scripts/prepare_toy.py", "--out", tmp_path)
    runs = {}
    for source, target in (("en", "de"), ("de", "en")):
        runs[source] = tmp_path / source
        splits = [
            f"data.{split}={{source: {tmp_path}/{split}.{source}, "
            f"target: {tmp_path}/{split}.{target}}}"
            for split in ("train", "valid", "test")
        ]
        run("-m", "nmt", "train", "configs/toy.yaml", f"run={runs[source]}", *splits)
    pairs = ["--source", tmp_path / "test.en", "--target", tmp_path / "test.de"]
    align = ["-m", "nmt", "align", runs["en"], *pairs, "--gold", tmp_path / "test.align"]
    rates = [
        float(ERROR.findall(run(*align, *extra))[0]) for extra in ([], ["--reverse", runs["de"]])
    ]
    assert rates[1] <= rates[0] < 15.0
