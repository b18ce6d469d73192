import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt import build
from nmt.config import Config
from nmt.run import RunDirectory


@pytest.fixture
def config(tmp_path: Path) -> Config:
    for side, text in (("en", "one .\n\ntwo .\n"), ("de", "eins .\nzwei .\nzwei .\n")):
        (tmp_path / f"train.{side}").write_text(text)
    corpus = {"source": str(tmp_path / "train.en"), "target": str(tmp_path / "train.de")}
    return Config.model_validate(
        {
            "run": "unused",
            "data": {"train": corpus, "valid": corpus, "num_processes": 3},
            "tokenizer": {"name": "words", "shared": False},
        }
    )


def test_what_the_filters_left_out_is_told_from_the_cache_too(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunDirectory(tmp_path / "run")
    tokenizers = build.build_tokenizers(config, run)
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            build.build_loader(config, run, tokenizers, torch.device("cpu"))
        assert "train.de: 2 of 3 pairs kept (1 empty)" in caplog.text


def test_the_processes_that_sample_can_be_set(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(build, "DataLoader", lambda *parts, **options: given.update(options))
    run = RunDirectory(tmp_path / "run")
    build.build_loader(config, run, build.build_tokenizers(config, run), torch.device("cpu"))
    assert given["num_processes"] == 3
