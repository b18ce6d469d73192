import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nmt.build import data
from nmt.build.tokenizers import build_tokenizers
from nmt.config.experiment import Config
from nmt.runs.run import RunDirectory
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer


def test_filter_report_is_logged_from_the_cache_too(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunDirectory(tmp_path / "run")
    tokenizers = build_tokenizers(config, run)
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            data.encode_training(config, run, tokenizers.source, tokenizers.target)
        assert "train.de: 2 of 3 pairs kept (1 empty)" in caplog.text


def test_loader_gets_the_number_of_sampling_processes(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(
        "nmt.build.data.DataLoader", lambda *parts, **options: given.update(options)
    )
    run = RunDirectory(tmp_path / "run")
    tokenizers = build_tokenizers(config, run)
    corpora = data.encode_training(config, run, tokenizers.source, tokenizers.target)
    data.build_loader(config, corpora, 100, torch.device("cpu"))
    assert given["num_processes"] == 3


TEXT = {"source": "train.en", "target": "train.de"}
GRIDS = {"grids": "train.npz", "target": "train.de"}


@pytest.mark.parametrize(
    ("corpus", "asked", "cores", "expected"),
    [
        *((TEXT, None, 16, 8), (TEXT, None, 3, 3), (TEXT, 20, 3, 20), (TEXT, 0, 3, 0)),
        *((GRIDS, None, 16, 1), (GRIDS, 2, 16, 2)),
    ],
)
def test_number_of_encoding_processes(
    corpus: dict[str, str],
    asked: int | None,
    cores: int,
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = []

    def encode(*parts: Any, num_processes: int, **options: Any) -> SimpleNamespace:
        taken.append(num_processes)
        return SimpleNamespace(report="")

    monkeypatch.setattr(data, "encode_corpus", encode)
    monkeypatch.setattr(data, "num_cores", lambda: cores)
    encoder = {"name": "grid", "channels": 3} if corpus is GRIDS else {}
    config = Config.model_validate(
        {
            "run": "unused",
            "data": {"train": corpus, "valid": corpus, "encoding_processes": asked},
            "tokenizer": {"name": "words", "shared": False},
            "model": {"encoder": encoder},
        }
    )
    words = WordTrainer(Normalizer()).train(lambda: iter(["one two"]))
    data.encode_training(config, RunDirectory(tmp_path), words, words)
    assert taken == [expected]
