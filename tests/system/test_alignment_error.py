"""The toy language: translated as people write it, aligned by attention in two directions."""

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy corpus, and runs of both directions: en and de."""
    folder = tmp_path_factory.mktemp("toy")
    run("scripts/prepare_toy.py", "--out", folder)
    for source, target in (("en", "de"), ("de", "en")):
        splits = [
            f"data.{split}={{source: {folder}/{split}.{source}, target: {folder}/{split}.{target}}}"
            for split in ("train", "valid", "test")
        ]
        run("-m", "nmt", "train", "configs/toy.yaml", f"run={folder / source}", *splits)
    return folder


def test_sentences_are_translated_as_people_write_them(folder: Path) -> None:
    (folder / "people").write_text("Tom chases Jerry.\nI love my dog!\n")
    run("-m", "nmt", "translate", folder / "en", folder / "people", "-o", folder / "german")
    assert (folder / "german").read_text() == "Tom jagt Jerry .\nIch liebe meinen Hund !\n"


def test_two_directions_are_no_worse_than_one(folder: Path) -> None:
    pairs = ["--source", folder / "test.en", "--target", folder / "test.de"]
    align = ["-m", "nmt", "align", folder / "en", *pairs, "--gold", folder / "test.align"]
    rates = [
        float(ERROR.findall(run(*align, *extra))[0]) for extra in ([], ["--reverse", folder / "de"])
    ]
    assert rates[1] <= rates[0] < 15.0
