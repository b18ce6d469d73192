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


def test_two_directions_beat_the_mean_of_each(folder: Path) -> None:
    """Error rates of English to German, of German to English, and of both symmetrized."""
    pairs = ["--source", folder / "test.en", "--target", folder / "test.de"]
    turned = ["--source", folder / "test.de", "--target", folder / "test.en"]
    gold = (folder / "test.align").read_text().splitlines()
    (folder / "turned.align").write_text(
        "".join(
            " ".join("-".join(reversed(link.split("-"))) for link in line.split()) + "\n"
            for line in gold
        )
    )

    def error_rate(name: str, *arguments: object) -> float:
        return float(ERROR.findall(run("-m", "nmt", "align", folder / name, *arguments))[0])

    forward = error_rate("en", *pairs, "--gold", folder / "test.align")
    backward = error_rate("de", *turned, "--gold", folder / "turned.align")
    both = error_rate("en", *pairs, "--gold", folder / "test.align", "--reverse", folder / "de")
    assert max(forward, backward) < 15.0
    assert both < (forward + backward) / 2
