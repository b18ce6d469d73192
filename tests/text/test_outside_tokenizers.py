"""Saved tokenizers whose class is from outside the package."""

import json
from pathlib import Path

import pytest

from nmt.core.errors import RunError
from nmt.export.onnx_file import ExportMetadata
from nmt.system.plugins import allow, allowed, find
from nmt.text.characters import CharacterTrainer
from nmt.text.normalization import Normalizer
from nmt.text.storage import load_tokenizer, save_tokenizer
from nmt.text.tokenizer import Tokenizer, TokenizerTrainer
from tests.integration.test_plugins import OUTSIDE

REFUSED = "'tokenizer.py:PairTokenizer' is code from outside the package, which must be allowed; "


@pytest.fixture
def trained() -> Tokenizer:
    with allowed([str(OUTSIDE / "tokenizer.py")]):
        kind = find("tokenizer.py:PairTrainer", TokenizerTrainer)
        return kind(Normalizer()).train(lambda: iter(["one two", "three"]))


def test_the_class_is_saved_and_imported_only_if_allowed(
    trained: Tokenizer, tmp_path: Path
) -> None:
    folder = tmp_path / "t"
    save_tokenizer(trained, folder)
    saved = json.loads((folder / "tokenizer.json").read_text())
    assert saved["plugin"] == "tokenizer.py:PairTokenizer"
    with pytest.raises(RunError) as caught:
        load_tokenizer(folder)
    assert str(caught.value).startswith(f"{folder}: {REFUSED}add --plugin tokenizer.py (")
    allow([OUTSIDE / "tokenizer.py"])
    loaded = load_tokenizer(folder)
    assert type(loaded).__name__ == "PairTokenizer"
    assert loaded.encode("one three") == trained.encode("one three")
    assert loaded.fingerprint() == trained.fingerprint()
    allow([OUTSIDE / "score.py"])
    saved["plugin"] = "score.py:Distance"
    (folder / "tokenizer.json").write_text(json.dumps(saved))
    with pytest.raises(RunError, match=r"tokenizer.json: corrupted or edited"):
        load_tokenizer(folder)


@pytest.mark.parametrize("plugin", [3, ["tokenizer.py:PairTokenizer"], {}])
def test_class_that_is_not_text_is_refused(
    trained: Tokenizer, tmp_path: Path, plugin: object
) -> None:
    save_tokenizer(trained, tmp_path / "t")
    path = tmp_path / "t" / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"plugin": plugin}))
    with pytest.raises(RunError, match="corrupted: not a tokenizer"):
        load_tokenizer(tmp_path / "t")


def test_a_tokenizer_of_the_package_names_no_class(tmp_path: Path) -> None:
    save_tokenizer(CharacterTrainer(Normalizer()).train(lambda: iter(["one"])), tmp_path / "t")
    assert "plugin" not in json.loads((tmp_path / "t" / "tokenizer.json").read_text())


def test_an_exported_file_imports_its_tokenizer_only_if_allowed(trained: Tokenizer) -> None:
    text = ExportMetadata("float32", 2, 3, 100, 1_000, trained, trained).to_json()
    with pytest.raises(RunError) as caught:
        ExportMetadata.from_json(text, Path("model.onnx"))
    assert str(caught.value).startswith(f"model.onnx: {REFUSED}")
    allow([OUTSIDE / "tokenizer.py"])
    read = ExportMetadata.from_json(text, Path("model.onnx"))
    assert read.source.encode("two") == trained.encode("two")
    assert read.to_json() == text
