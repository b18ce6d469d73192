from pathlib import Path

import pytest

from nmt.config.experiment import Config


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
