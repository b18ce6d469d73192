"""The example that uses an exported model without this package."""

import base64
from types import ModuleType
from typing import Any

import pytest

from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.tokenizer import Tokenizer

LINES = ["Ein alter Mann läuft.", "eine ﬁne  Straße", " 日本 ▁ x\u200by ", "<s> </s> <0x41>", ""]


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    return load_script("translate_exported")


def describe(tokenizer: Tokenizer) -> dict[str, Any]:
    saved = tokenizer.saved()
    return saved.describe() | {"model": base64.b64encode(saved.model).decode("ascii")}


@pytest.mark.parametrize("byte_fallback", [False, True])
@pytest.mark.parametrize("lowercase", [False, True])
def test_it_reads_and_writes_as_the_tokenizer(
    script: ModuleType, byte_fallback: bool, lowercase: bool
) -> None:
    tokenizer = SentencePieceTrainer(
        Normalizer(lowercase=lowercase),
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
