"""Model files of SentencePiece: taken from other tools, and refused where they do not fit."""

import io
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from sentencepiece import SentencePieceProcessor

from nmt.core.errors import RunError
from nmt.core.special_tokens import BOS, EOS, UNK
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_model import (
    BYTE,
    NORMAL,
    Piece,
    SentencePieceModel,
    check_model,
    convert_model,
    parse_model,
)
from nmt.text.sentencepiece_tokenizer import SentencePieceTokenizer
from nmt.text.storage import load_sentencepiece, load_tokenizer, save_tokenizer
from nmt.text.tokenizer import UNKNOWN_TEXT

LINE = "Der kleine Hund sieht die Straße, oder?"


def spm_train(lines: Iterator[str], path: Path, **options: Any) -> Path:
    """Train as `spm_train` does: its own ids, and its own normalisation."""
    model = io.BytesIO()
    options = {"model_type": "bpe", "vocab_size": 150, "character_coverage": 1.0} | options
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines, model_writer=model, minloglevel=2, **options
    )
    path.write_bytes(model.getvalue())
    return path


@pytest.fixture(scope="module")
def made(
    corpus: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[SentencePieceProcessor, Path]]:
    """A model trained with some options, as SentencePiece reads it, and its file."""
    folder = tmp_path_factory.mktemp("models")
    known: dict[str, Path] = {}

    def make(**options: Any) -> tuple[SentencePieceProcessor, Path]:
        name = repr(sorted(options.items()))
        if name not in known:
            path = folder / f"{len(known)}.model"
            known[name] = spm_train(iter(corpus[:300]), path, **options)
        return SentencePieceProcessor(model_proto=known[name].read_bytes()), known[name]

    return make


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"model_type": "unigram", "vocab_size": 120},
        {"byte_fallback": True, "vocab_size": 400},
        {"pad_id": 3, "unk_id": 2, "bos_id": 0, "eos_id": 1},
        {"pad_id": 0, "unk_id": 3, "bos_id": -1, "eos_id": -1, "pad_piece": "[PAD]"},
        {"control_symbols": "<2de>,<2en>", "user_defined_symbols": "<sep>,Hund"},
        {"normalization_rule_name": "identity"},
    ],
    ids=["bpe", "unigram", "bytes", "other ids", "no bos, no eos", "further symbols", "identity"],
)
def test_a_model_splits_text_as_in_sentencepiece(
    options: dict[str, Any], made: Any, corpus: list[str]
) -> None:
    processor, path = made(**options)
    normalizer = Normalizer("none" if "normalization_rule_name" in options else "nfkc")
    tokenizer = load_sentencepiece(path, normalizer)
    for line in [*corpus[300:360], "xyz!", "a<sep>b Hunde"]:
        ids, theirs = tokenizer.encode(line), processor.encode(line)
        pieces = tokenizer.pieces(ids)
        assert len(ids) == len(theirs)
        assert [token == UNK for token in ids] == [processor.is_unknown(token) for token in theirs]
        assert min(ids) >= UNK and not {BOS, EOS} & set(ids)
        if UNK not in ids:
            assert pieces == [processor.id_to_piece(token) for token in theirs]
            assert tokenizer.decode(ids) == processor.decode(theirs) == normalizer(line)


def test_bytes_write_any_text(made: Any) -> None:
    _, path = made(byte_fallback=True, vocab_size=400)
    tokenizer = load_sentencepiece(path, Normalizer())
    for text in ("漢字 🙂 zß", "▁ <0x41> <s> </s> <unk> <pad>", "\ue000"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    _, path = made()
    without = load_sentencepiece(path, Normalizer())
    assert without.decode(without.encode("漢字")) == UNKNOWN_TEXT


def test_a_taken_model_is_saved_and_read_as_any_other(made: Any, tmp_path: Path) -> None:
    _, path = made(byte_fallback=True, vocab_size=400)
    tokenizer = load_sentencepiece(path, Normalizer(lowercase=True), sampling_alpha=0.1)
    save_tokenizer(tokenizer, tmp_path / "saved")
    again = load_tokenizer(tmp_path / "saved")
    assert again.fingerprint() == tokenizer.fingerprint()
    assert again.encode(LINE) == tokenizer.encode(LINE)
    rng = random.Random(1)
    drawn = [tuple(again.encode(LINE, rng)) for _ in range(9)]
    assert len(set(drawn)) > 1
    assert {again.decode(ids) for ids in drawn} == {LINE.lower()}


def test_different_normalization_is_reported(made: Any, caplog: pytest.LogCaptureFixture) -> None:
    _, path = made(normalization_rule_name="nmt_nfkc_cf")
    load_sentencepiece(path, Normalizer("nfkc", lowercase=True))
    assert not caplog.messages
    load_sentencepiece(path, Normalizer("none"))
    assert caplog.messages == [
        f"{path}: was trained with the normalization nmt_nfkc_cf, which is not used here; for "
        "the closest one, set tokenizer.normalization: nfkc and tokenizer.lowercase: true"
    ]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"model_type": "word", "vocab_size": 90},
            "its type is word; unigram and bpe are supported",
        ),
        (
            {"model_type": "char", "vocab_size": 50},
            "its type is char; unigram and bpe are supported",
        ),
        ({"treat_whitespace_as_suffix": True}, "it marks the ends of words"),
        ({"add_dummy_prefix": False}, "it was trained with add_dummy_prefix or escape_whitespaces"),
    ],
    ids=["word", "char", "suffix", "no prefix"],
)
def test_unsupported_arguments_are_refused(options: dict[str, Any], reason: str, made: Any) -> None:
    _, path = made(**options)
    with pytest.raises(RunError, match=rf"{path}: not a supported SentencePiece model \({reason}"):
        load_sentencepiece(path, Normalizer())


def test_denormalization_rules_are_refused(made: Any, tmp_path: Path) -> None:
    _, path = made()
    rules = b"\x2a\x03\x12\x01x"  # denormalizer_spec {precompiled_charsmap: "x"}
    spoilt = tmp_path / "rules.model"
    spoilt.write_bytes(path.read_bytes() + rules)
    with pytest.raises(RunError, match=r"it changes decoded text \(denormalization rules\)"):
        load_sentencepiece(spoilt, Normalizer())


@pytest.mark.parametrize(
    "content",
    [b"", b"no model", b"\x0a\xff\xff\xff\xff\x7f", b"\x0a\x00" * 2**14, b"\x08\x00" * 2**14]
    + [random.Random(seed).randbytes(300) for seed in range(20)],
)
def test_garbage_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.model").write_bytes(content)
    with pytest.raises(RunError, match=r"a\.model: not a supported SentencePiece model"):
        load_sentencepiece(tmp_path / "a.model", Normalizer())


def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "x", "No such file")):
        with pytest.raises(RunError, match=rf"{path}: cannot be read: {reason}"):
            load_sentencepiece(path, Normalizer())


def change(model: SentencePieceModel, at: int, **fields: Any) -> SentencePieceModel:
    pieces = list(model.pieces)
    pieces[at] = pieces[at]._replace(**fields)
    return replace(model, pieces=pieces)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda model: change(model, 30, score=float("nan")), "the score of a piece is NaN or inf"),
        (lambda model: change(model, 30, score=float("-inf")), "the score of a piece is NaN or"),
        (lambda model: change(model, 30, text=""), "piece must not be empty"),
        (lambda model: change(model, 30, text=model.pieces[31].text), "is already defined"),
        (
            lambda model: change(replace(model, byte_fallback=True), 30, kind=BYTE),
            "byte piece .* is invalid",
        ),
        (lambda model: replace(model, byte_fallback=True), "there are not 256 byte pieces"),
        (lambda model: replace(model, ids={**model.ids, UNK: 10**6}), "it has no unknown symbol"),
        (lambda model: replace(model, ids={**model.ids, UNK: 7}), "it has no unknown symbol"),
        (
            lambda model: replace(model, pieces=[p for p in model.pieces if p.text != "▁"]),
            "it has no piece for the blank",
        ),
        (
            lambda model: replace(model, pieces=[p for p in model.pieces if p.kind != NORMAL]),
            "it has no piece for the blank",
        ),
    ],
    ids=["NaN", "infinite", "empty", "twice", "byte", "no bytes", "unk out", "unk", "▁", "no text"],
)
def test_a_spoilt_model_is_not_adopted(
    spoil: Callable[[SentencePieceModel], SentencePieceModel], reason: str, made: Any
) -> None:
    model = parse_model(made()[1].read_bytes())

    def adopt(model: SentencePieceModel) -> None:
        content = convert_model(model)
        check_model(parse_model(content))
        SentencePieceProcessor(model_proto=content)

    adopt(model)
    with pytest.raises((ValueError, RuntimeError), match=reason):
        adopt(spoil(model))


@pytest.mark.parametrize(
    "content",
    [b"\x08\x01", b"\x0a\x02\x08\x01", b"\x0a\x02\x1a\x00", b"\x0a\x00\x12\x03\x1a\x01a"],
    ids=["a number for a piece", "for its text", "bytes for its type", "for the type of the model"],
)
def test_fields_of_another_type_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="truncated, or not a SentencePiece model"):
        parse_model(content)


def test_a_saved_model_must_have_the_form_of_a_trained_one(made: Any, subwords: Any) -> None:
    for tokenizer in subwords.values():
        check_model(parse_model(tokenizer.saved().model))
    model = parse_model(made()[1].read_bytes())
    adopted = parse_model(convert_model(model))
    check_model(adopted)
    for spoilt, reason in (
        (model, "its special symbols have other ids than 0 to 3"),
        (replace(adopted, rules=b"rules"), "it normalises text"),
        (replace(adopted, ids={**adopted.ids, EOS: 5}), "its special symbols have other ids"),
        (replace(adopted, pieces=adopted.pieces[1:]), "its first four pieces are not the special"),
        (
            replace(adopted, pieces=[*adopted.pieces, Piece("<2de>", 0.0, 3)]),
            "it has further special symbols",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{reason}"):
            check_model(spoilt)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"model_type": "unigram", "sampling_alpha": 0.0},
        {"model_type": "bpe", "sampling_alpha": float("nan")},
        {"model_type": "bpe", "sampling_alpha": 1},
        {"model_type": "bpe", "sampling_alpha": "0"},
        {"model_type": "bpe", "sampling_alpha": 0.0, "more": 1},
    ],
)
def test_options_that_do_not_fit_the_model_are_refused(
    options: dict[str, Any], subwords: Any
) -> None:
    saved = replace(subwords["bpe"].saved(), options=options)
    with pytest.raises((ValueError, KeyError)):
        SentencePieceTokenizer.restore(saved)
