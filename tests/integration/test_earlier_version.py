"""A run, an exported file and a checkpoint of commit 92eef86: see tests/data/earlier_version."""

import contextlib
import json
import lzma
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from nmt.inference.translator import Translator
from tests.integration.conftest import Command

MADE = Path(__file__).parents[1] / "data" / "earlier_version"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory is a copy of what the earlier version wrote."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shutil.copytree(MADE, tmp_path / "made")
    with contextlib.chdir(tmp_path / "made"):
        yield Path()


def test_the_files_are_small() -> None:
    assert sum(path.stat().st_size for path in MADE.rglob("*") if path.is_file()) < 300_000


def test_the_run_translates_to_the_same_bytes(nmt: Command, made: Path) -> None:
    assert nmt("translate", "run", "test.en", "-o", "out").code == 0
    assert (made / "out").read_bytes() == (made / "translations.txt").read_bytes()


def test_the_run_gives_the_same_scores(made: Path) -> None:
    sentences = (made / "test.en").read_text().splitlines()
    expected = map(json.loads, (made / "translations.jsonl").read_text().splitlines())
    found = Translator.from_run("run").translate(sentences)
    for translation, then in zip(found, expected, strict=True):
        assert translation.text == then["translation"]
        assert translation.hypotheses[0].log_probability == pytest.approx(
            then["log_probability"], abs=2e-5
        )


def test_the_exported_file_translates_to_the_same_bytes(nmt: Command, made: Path) -> None:
    (made / "model.onnx").write_bytes(lzma.decompress((made / "model.onnx.xz").read_bytes()))
    assert nmt("translate", "model.onnx", "test.en", "-o", "out").code == 0
    assert (made / "out").read_bytes() == (made / "translations.txt").read_bytes()


def test_the_checkpoint_resumes_to_the_same_weights(nmt: Command, made: Path) -> None:
    outcome = nmt("train", "tiny.yaml", "--resume", "training.max_updates=660")
    assert outcome.code == 0, outcome.err
    found = load_file(made / "run/checkpoints/last/model.safetensors")
    expected = load_file(made / "resumed.safetensors")
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=1e-4, err_msg=name)
