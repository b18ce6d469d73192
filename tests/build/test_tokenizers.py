import io
from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from nmt.build.tokenizers import build_tokenizers, load_tokenizers
from nmt.config.experiment import Config
from nmt.config.file import dump_config
from nmt.core.errors import ConfigError, RunError
from nmt.runs.run import Run, RunDirectory


def spm_model(path: Path, **options: Any) -> Path:
    """A model that SentencePiece itself has trained."""
    content = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["one two .", "eins zwei ."] * 20),
        model_writer=content,
        model_type="bpe",
        vocab_size=30,
        minloglevel=2,
        **options,
    )
    path.write_bytes(content.getvalue())
    return path


def test_run_uses_given_sentencepiece_models(config: Config, tmp_path: Path) -> None:
    source = spm_model(tmp_path / "source.model")
    target = spm_model(tmp_path / "target.model", unk_id=3, pad_id=0, user_defined_symbols="eins")
    given = {"shared": False, "source_path": str(source), "target_path": str(target)}
    config = Config.model_validate({**config.model_dump(mode="json"), "tokenizer": given})
    run = RunDirectory(tmp_path / "run")
    made = build_tokenizers(config, run)
    assert made.source.pieces(made.source.encode("one two .")) == ["▁one", "▁two", "▁."]
    assert made.target.pieces(made.target.encode("eins .")) == ["▁", "eins", "▁."]
    source.unlink()  # the run has copies
    target.unlink()
    (tmp_path / "run" / "config.yaml").write_text(dump_config(config))
    again = load_tokenizers(Run(run, config))
    assert again.target.fingerprint() == made.target.fingerprint()
    assert again.source.decode(again.source.encode("two one .")) == "two one ."


def test_sentencepiece_model_for_another_tokenizer_is_refused(
    config: Config, tmp_path: Path
) -> None:
    given = {"name": "words", "source_path": str(spm_model(tmp_path / "my.model"))}
    config = Config.model_validate({**config.model_dump(mode="json"), "tokenizer": given})
    message = r"tokenizer.name: 'words' cannot be combined .*my.model.*; set it to sentencepiece"
    with pytest.raises(ConfigError, match=message):
        build_tokenizers(config, RunDirectory(tmp_path / "run"))


def test_missing_tokenizer_is_named(config: Config, tmp_path: Path) -> None:
    tree = {**config.model_dump(mode="json"), "tokenizer": {"source_path": "no.model"}}
    with pytest.raises(RunError, match=r"no.model: tokenizer not found; give the folder of one"):
        build_tokenizers(Config.model_validate(tree), RunDirectory(tmp_path / "run"))
