"""Model files of SentencePiece, checked before its C++ sees them.

The file is a protocol buffer (`sentencepiece_model.proto`). A model that nmt has trained has the
four special symbols at the ids of `nmt.core.special_tokens`, and normalises nothing.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from nmt.core.special_tokens import BOS, EOS, PAD, SPECIAL_SYMBOLS, UNK
from nmt.text.tokenizer import UNKNOWN_TEXT

BLANK: Final = "▁"
MAX_PIECES: Final = 2**19
"""Twice as many as the largest multilingual vocabularies have."""

NORMAL: Final = 1
UNKNOWN: Final = 2
CONTROL: Final = 3
USER_DEFINED: Final = 4
UNUSED: Final = 5
BYTE: Final = 6
_KINDS: Final = (NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE)
KINDS_OF_SPECIALS: Final = {PAD: CONTROL, UNK: UNKNOWN, BOS: CONTROL, EOS: CONTROL}
BYTE_PIECES: Final = [f"<0x{byte:02X}>" for byte in range(256)]
_MAX_FIELDS: Final = 1_000  # of a message without pieces; there are fewer than 60
MODEL_TYPES: Final = {1: "unigram", 2: "bpe"}
_OTHER_TYPES: Final = {3: "word", 4: "char"}

# Numbers of fields.
_PIECE, _TRAINER, _NORMALIZER, _DENORMALIZER = 1, 2, 3, 5
_TEXT, _SCORE, _KIND = 1, 2, 3
_MODEL_TYPE, _SUFFIX, _BYTE_FALLBACK, _UNKNOWN_SURFACE = 3, 24, 35, 44
_IDS: Final = {UNK: 40, BOS: 41, EOS: 42, PAD: 43}
_NAMES: Final = {UNK: 45, BOS: 46, EOS: 47, PAD: 48}
_NORMALIZER_NAME, _RULES, _DUMMY_PREFIX, _ESCAPE = 1, 2, 3, 5

_Field = tuple[int, int | bytes]


@dataclass(frozen=True)
class Piece:
    """An entry of the vocabulary; its id is its place."""

    text: str
    score: float
    kind: int


@dataclass(frozen=True)
class SentencePieceModel:
    """What a model file says.

    Attributes:
        pieces: the vocabulary.
        model_type: "bpe" or "unigram".
        byte_fallback: whether unknown characters are split into bytes.
        ids: of the special symbols of `nmt.core.special_tokens`; -1 where the model has none.
        normalizer: name of the normalisation that the model was trained with.
        rules: of that normalisation, compiled.
    """

    pieces: list[Piece]
    model_type: str
    byte_fallback: bool
    ids: dict[int, int]
    normalizer: str
    rules: bytes


def special_piece(special: int) -> str:
    """Return a name for a special symbol that no text has, as SentencePiece removes such names."""
    return f"\ue580{SPECIAL_SYMBOLS[special]}"


def parse_model(content: bytes) -> SentencePieceModel:
    """Read a model file.

    Raises:
        ValueError: it is none, or of a kind that is not supported; says why.
    """
    pieces: list[Piece] = []
    specs: dict[int, dict[int, int | bytes]] = {_TRAINER: {}, _NORMALIZER: {}, _DENORMALIZER: {}}
    for number, value in _fields(content, MAX_PIECES):
        if number == _PIECE:
            pieces.append(_parse_piece(_as_bytes(value)))
        elif number in specs:
            specs[number].update(_fields(_as_bytes(value)))
    if not pieces:
        raise ValueError("it has no pieces")
    trainer, normalizer = specs[_TRAINER], specs[_NORMALIZER]
    model_type = _as_int(trainer.get(_MODEL_TYPE, 1))
    if model_type not in MODEL_TYPES:
        name = _OTHER_TYPES.get(model_type, str(model_type))
        raise ValueError(f"its type is {name}; unigram and bpe are supported")
    if trainer.get(_SUFFIX, 0):
        raise ValueError("it marks the ends of words (treat_whitespace_as_suffix), not the starts")
    if not (normalizer.get(_DUMMY_PREFIX, 1) and normalizer.get(_ESCAPE, 1)):
        raise ValueError("it was trained with add_dummy_prefix or escape_whitespaces off")
    if specs[_DENORMALIZER].get(_RULES, b""):
        raise ValueError("it changes decoded text (denormalization rules)")
    defaults = {UNK: 0, BOS: 1, EOS: 2, PAD: -1}
    ids = {
        special: _signed(_as_int(trainer.get(field, defaults[special])))
        for special, field in _IDS.items()
    }
    return SentencePieceModel(
        pieces,
        MODEL_TYPES[model_type],
        bool(trainer.get(_BYTE_FALLBACK, 0)),
        ids,
        _as_bytes(normalizer.get(_NORMALIZER_NAME, b"")).decode(),
        _as_bytes(normalizer.get(_RULES, b"")),
    )


def check_model(model: SentencePieceModel) -> None:
    """Refuse a model that is not in the form of those that nmt trains.

    Raises:
        ValueError: says what is wrong with it.
    """
    if model.ids != {special: special for special in KINDS_OF_SPECIALS}:
        raise ValueError("its special symbols have other ids than 0 to 3")
    if model.rules:
        raise ValueError("it normalises text")
    check_pieces(model)
    kinds = [piece.kind for piece in model.pieces]
    if kinds[: len(KINDS_OF_SPECIALS)] != [
        KINDS_OF_SPECIALS[token] for token in sorted(KINDS_OF_SPECIALS)
    ]:
        raise ValueError("its first four pieces are not the special symbols")
    if not set(kinds[len(KINDS_OF_SPECIALS) :]) <= {NORMAL, USER_DEFINED, BYTE}:
        raise ValueError("it has further special symbols")


def check_pieces(model: SentencePieceModel) -> None:
    """Refuse a vocabulary that no model can have.

    Raises:
        ValueError: says what is wrong with it.
    """
    texts = [piece.text for piece in model.pieces]
    if not all(texts) or len(set(texts)) < len(texts):
        raise ValueError("a piece is empty, or is there twice")
    if not all(math.isfinite(piece.score) for piece in model.pieces):
        raise ValueError("the score of a piece is NaN or infinite")
    found = [piece.text for piece in model.pieces if piece.kind == BYTE]
    if found != (BYTE_PIECES if model.byte_fallback else []):
        raise ValueError("it does not have one piece for each byte, though it says so")
    if not any(piece.kind == NORMAL for piece in model.pieces):
        raise ValueError("it has no pieces of text")


def _parse_piece(content: bytes) -> Piece:
    fields = dict(_fields(content))
    score = fields.get(_SCORE, bytes(4))
    if not isinstance(score, bytes) or len(score) != 4:
        raise ValueError("the score of a piece is not a number")
    kind = _as_int(fields.get(_KIND, NORMAL))
    if kind not in _KINDS:
        raise ValueError(f"a piece is of the unknown type {kind}")
    text = _as_bytes(fields.get(_TEXT, b"")).decode()
    return Piece(text, struct.unpack("<f", score)[0], kind)


def write_model(model: SentencePieceModel) -> bytes:
    """Return the content of a model file."""
    pieces = [
        _message(
            _PIECE,
            _message(_TEXT, piece.text.encode())
            + _key(_SCORE, 5)
            + struct.pack("<f", piece.score)
            + _number(_KIND, piece.kind),
        )
        for piece in model.pieces
    ]
    number = next(key for key, name in MODEL_TYPES.items() if name == model.model_type)
    trainer = [_number(_MODEL_TYPE, number), _number(_BYTE_FALLBACK, int(model.byte_fallback))]
    trainer += [_number(field, model.ids[special]) for special, field in _IDS.items()]
    trainer += [_message(_UNKNOWN_SURFACE, UNKNOWN_TEXT.encode())]
    trainer += [
        _message(field, special_piece(special).encode()) for special, field in _NAMES.items()
    ]
    normalizer = _message(_NORMALIZER_NAME, model.normalizer.encode())
    return b"".join(
        [*pieces, _message(_TRAINER, b"".join(trainer)), _message(_NORMALIZER, normalizer)]
    )


# Protocol buffers: https://protobuf.dev/programming-guides/encoding


def _fields(content: bytes, most: int = _MAX_FIELDS) -> Iterator[_Field]:
    """Yield the fields of a message: number, and a whole number or bytes."""
    at, end = 0, len(content)
    while at < end:
        most -= 1
        if most < 0:
            raise ValueError(f"it has more than {MAX_PIECES:,} pieces, or is not a model")
        key, at = _varint(content, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(content, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(content, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError("it is not a model of SentencePiece")
        if at + size > end:
            raise ValueError("it is cut short, or not a model of SentencePiece")
        yield number, content[at : at + size]
        at += size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(content) or shift > 63:
            raise ValueError("it is cut short, or not a model of SentencePiece")
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _signed(value: int) -> int:
    """Return the signed number: -1 is written as 2**64 - 1."""
    return value - 2**64 if value >= 2**63 else value


def _as_int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("it is not a model of SentencePiece")
    return value


def _as_bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("it is not a model of SentencePiece")
    return value


def _key(field: int, wire: int) -> bytes:
    return _encode(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _key(field, 0) + _encode(value)


def _message(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _encode(len(content)) + content


def _encode(value: int) -> bytes:
    groups = []
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
