"""The example that uses an exported model without this package."""

import base64
import io
import json
import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest

from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.tokenizer import Tokenizer

LINES = ["Ein alter Mann läuft.", "eine ﬁne  Straße", " 日本 ▁ x\u200by ", "<s> </s> <0x41>", ""]
LINES += ["cafe\u0301 ½ … １", "\u09ac\u09be\u09a1\u09bc\u09bf"]


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    return load_script("translate_exported")


def describe(tokenizer: Tokenizer) -> dict[str, Any]:
    saved = tokenizer.saved()
    return saved.describe() | {"model": base64.b64encode(saved.model).decode("ascii")}


@pytest.mark.parametrize("byte_fallback", [False, True])
@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("form", ["nfc", "nfkc", "none"])
def test_example_encodes_and_decodes_like_the_tokenizer(
    script: ModuleType,
    byte_fallback: bool,
    lowercase: bool,
    form: Literal["nfc", "nfkc", "none"],
) -> None:
    tokenizer = SentencePieceTrainer(
        Normalizer(form, lowercase=lowercase),
        vocabulary_size=300 if byte_fallback else 60,
        model_type="bpe",
        character_coverage=1.0,
        byte_fallback=byte_fallback,
    ).train(lambda: iter(["ein Mann und eine Frau laufen über die alte Straße ."] * 9))
    alone = script.Tokenizer(describe(tokenizer))
    for line in LINES:
        ids = tokenizer.encode(line)
        assert alone.encode(line) == ids
        assert alone.decode(ids) == tokenizer.decode(ids)
    everything = list(range(len(tokenizer)))
    for tokens in (everything[3:], everything[:2], everything[::-1]):
        assert alone.decode(tokens) == tokenizer.decode(tokens)


def test_another_tokenizer_is_refused(script: ModuleType) -> None:
    with pytest.raises(SystemExit, match=r"tokenizers of SentencePiece, and none of words"):
        script.Tokenizer({"name": "words"})


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--help"], 0, ""),
        ([], 2, "the following arguments are required: FILE"),
        (["{folder}/missing.onnx"], 2, "missing.onnx: not a readable file of `nmt export`"),
        (["{folder}/text.onnx"], 2, "text.onnx: not a readable file of `nmt export`"),
        (["{folder}"], 2, "not a readable file of `nmt export`"),
    ],
)
def test_wrong_arguments_get_the_usage(
    script: ModuleType,
    words: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "text.onnx").write_text("Tom chases Jerry.\n")
    given = [word.format(folder=tmp_path) for word in words]
    monkeypatch.setattr(sys, "argv", ["translate_exported.py", *given])
    with pytest.raises(SystemExit) as ended:
        script.main()
    out, err = capsys.readouterr()
    assert ended.value.code == code
    shown = err if code else out
    assert shown.startswith("usage: translate_exported.py FILE < INPUT > OUTPUT\n")
    assert message in shown.splitlines()[-1]


class Copying:
    """In the place of a session: the translation of a sentence is its tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        told = {
            "source": describe(tokenizer),
            "target": None,
            "max_source_length": 50,
            "beam_size": 1,
        }
        self._metadata = {"nmt": json.dumps(told)}

    def get_modelmeta(self) -> SimpleNamespace:
        return SimpleNamespace(custom_metadata_map=self._metadata)

    def run(self, outputs: None, given: dict[str, Any]) -> list[Any]:
        zeros = np.zeros((len(given["source"]), 1))
        return [zeros, zeros, given["source_lengths"][:, None] - 1, given["source"][:, None]]


def test_line_for_line_whatever_the_bytes(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["alte Frau", "", "eine Straße", *["Mann"] * 40, "und"]
    trainer = SentencePieceTrainer(Normalizer(), vocabulary_size=60)
    tokenizer = trainer.train(lambda: iter(lines * 9))
    session = SimpleNamespace(InferenceSession=lambda path, **options: Copying(tokenizer))
    monkeypatch.setitem(sys.modules, "onnxruntime", session)
    monkeypatch.setattr(sys, "argv", ["translate_exported.py", "copying.onnx"])
    long = ["x" * 1_000_001, "x" * 1_000_000 + "\r\n", "x " * 1_500_000]
    content = b"\xef\xbb\xbf" + "\r\n".join([*lines, *long]).encode()
    lines += ["", "", "", ""]  # that of the second ends twice
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), "latin-1"))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "latin-1"))
    assert script.__file__ is not None
    runpy.run_path(script.__file__, run_name="__main__")
    sys.stdout.flush()
    assert sys.stdout.buffer.getvalue().decode() == "".join(f"{line}\n" for line in lines)  # type: ignore[attr-defined]
