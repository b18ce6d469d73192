"""SentencePiece model files: read, checked, and converted to the form of models trained by nmt.

In that form, the four special symbols have the ids of `nmt.core.special_tokens`, and text is not
normalised. A file is a protocol buffer (`sentencepiece_model.proto`). It is parsed here, because
SentencePiece's API does not expose the model type or the user-defined pieces. SentencePiece's own
protobuf reader requires one specific version of protobuf. SentencePiece itself checks for missing
and duplicate pieces.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

from nmt.core.special_tokens import BOS, EOS, PAD, SPECIAL_SYMBOLS, UNK
from nmt.text.tokenizer import UNKNOWN_TEXT

ModelType = Literal["bpe", "unigram"]
BLANK: Final = "▁"
_NO_MODEL: Final = "truncated, or not a SentencePiece model"
_Message: TypeAlias = dict[int, int | bytes]
Value = TypeVar("Value", int, bytes)
_MAX_FIELDS: Final = 2**19  # per message; twice the largest multilingual vocabularies

NORMAL: Final = 1
UNKNOWN: Final = 2
CONTROL: Final = 3
USER_DEFINED: Final = 4
BYTE: Final = 6
_KINDS_OF_SPECIALS: Final = (CONTROL, UNKNOWN, CONTROL, CONTROL)  # PAD, UNK, BOS, EOS
_MODEL_TYPES: Final[Mapping[int, ModelType]] = {1: "unigram", 2: "bpe"}
_OTHER_TYPES: Final = {3: "word", 4: "char"}

# Field numbers.
_PIECE, _TRAINER, _NORMALIZER, _DENORMALIZER = 1, 2, 3, 5
_TEXT, _SCORE, _KIND = 1, 2, 3
_MODEL_TYPE, _SUFFIX, _BYTE_FALLBACK, _UNKNOWN_SURFACE = 3, 24, 35, 44
_IDS: Final = {UNK: 40, BOS: 41, EOS: 42, PAD: 43}
_NAMES: Final = {UNK: 45, BOS: 46, EOS: 47, PAD: 48}
_NORMALIZER_NAME, _RULES, _DUMMY_PREFIX, _ESCAPE = 1, 2, 3, 5


class Piece(NamedTuple):
    """An entry of the vocabulary; its id is its index."""

    text: str
    score: float
    kind: int


@dataclass(frozen=True)
class SentencePieceModel:
    """The parsed content of a model file.

    Attributes:
        pieces: the vocabulary.
        model_type: "bpe" or "unigram".
        byte_fallback: whether unknown characters are split into bytes.
        ids: id of each special symbol of `nmt.core.special_tokens`.
        normalizer: name of the normalisation that the model was trained with.
        rules: compiled rules of that normalisation.
    """

    pieces: list[Piece]
    model_type: ModelType
    byte_fallback: bool
    ids: dict[int, int]
    normalizer: str
    rules: bytes


def special_piece(special: int) -> str:
    """Return a name for a special symbol; not text, because SentencePiece removes such names."""
    return f"\ue580{SPECIAL_SYMBOLS[special]}"


def parse_model(content: bytes) -> SentencePieceModel:
    """Read a model file.

    Raises:
        ValueError: not a model file, or a kind of model that is not supported.
    """
    pieces: list[Piece] = []
    options = {part: _Message() for part in (_TRAINER, _NORMALIZER, _DENORMALIZER)}
    for number, value in _fields(content):
        if number == _PIECE:
            pieces.append(_parse_piece(_parse_message(value)))
        elif number in options:
            options[number] |= _parse_message(value)
    trainer, normalizer, denormalizer = options.values()
    if not pieces:
        raise ValueError("it has no pieces")
    type_number = _get(trainer, _MODEL_TYPE, 1)
    model_type = _MODEL_TYPES.get(type_number)
    if model_type is None:
        name = _OTHER_TYPES.get(type_number, type_number)
        raise ValueError(f"its type is {name}; unigram and bpe are supported")
    if _get(trainer, _SUFFIX, 0):
        raise ValueError("it marks the ends of words, not the starts (treat_whitespace_as_suffix)")
    if not (_get(normalizer, _DUMMY_PREFIX, 1) and _get(normalizer, _ESCAPE, 1)):
        raise ValueError("it was trained with add_dummy_prefix or escape_whitespaces off")
    if _get(denormalizer, _RULES, b""):
        raise ValueError("it changes decoded text (denormalization rules)")
    defaults = {UNK: 0, BOS: 1, EOS: 2, PAD: -1}
    return SentencePieceModel(
        pieces,
        model_type,
        bool(_get(trainer, _BYTE_FALLBACK, 0)),
        {token: _get(trainer, field, defaults[token]) for token, field in _IDS.items()},
        _get(normalizer, _NORMALIZER_NAME, b"").decode(),
        _get(normalizer, _RULES, b""),
    )


def _parse_piece(fields: _Message) -> Piece:
    content = _get(fields, _SCORE, bytes(4))
    score = struct.unpack("<f", content)[0] if len(content) == 4 else math.nan
    if not math.isfinite(score):
        raise ValueError("the score of a piece is NaN or infinite")
    return Piece(_get(fields, _TEXT, b"").decode(), score, _get(fields, _KIND, NORMAL))


def check_model(model: SentencePieceModel) -> None:
    """Check that a model is in the form of models trained by nmt.

    Raises:
        ValueError: says what is wrong with the model.
    """
    num_specials = len(_KINDS_OF_SPECIALS)
    kinds = tuple(piece.kind for piece in model.pieces)
    if model.ids != {special: special for special in _IDS}:
        raise ValueError("its special symbols have other ids than 0 to 3")
    if model.rules:
        raise ValueError("it normalises text")
    if kinds[:num_specials] != _KINDS_OF_SPECIALS:
        raise ValueError("its first four pieces are not the special symbols")
    if not set(kinds[num_specials:]) <= {NORMAL, USER_DEFINED, BYTE}:
        raise ValueError("it has further special symbols")


def convert_model(model: SentencePieceModel) -> bytes:
    """Convert a model of another tool to a file in the form of models trained by nmt.

    Normal and user-defined pieces keep their order and scores, so words are split as before.
    Unused pieces, and control symbols other than pad, unk, bos and eos, are dropped: they do not
    occur in text. Missing special symbols are added.

    Raises:
        ValueError: the model cannot be used; says why.
    """
    unknown = model.ids[UNK]
    if not 0 <= unknown < len(model.pieces) or model.pieces[unknown].kind != UNKNOWN:
        raise ValueError("it has no unknown symbol")
    if not any(piece.text == BLANK for piece in model.pieces):
        raise ValueError(f"it has no piece for the blank ({BLANK})")
    pieces = [
        *(Piece(special_piece(id), 0.0, kind) for id, kind in enumerate(_KINDS_OF_SPECIALS)),
        *sorted(piece for piece in model.pieces if piece.kind == BYTE),  # by their values
        *(piece for piece in model.pieces if piece.kind in (NORMAL, USER_DEFINED)),
    ]
    number = next(key for key, name in _MODEL_TYPES.items() if name == model.model_type)
    trainer: dict[int, int | float | bytes] = {
        _MODEL_TYPE: number,
        _BYTE_FALLBACK: int(model.byte_fallback),
        **{field: special for special, field in _IDS.items()},
        _UNKNOWN_SURFACE: UNKNOWN_TEXT.encode(),
        **{field: special_piece(special).encode() for special, field in _NAMES.items()},
    }
    messages: list[tuple[int, Mapping[int, int | float | bytes]]] = [
        (_PIECE, {_TEXT: text.encode(), _SCORE: score, _KIND: kind}) for text, score, kind in pieces
    ]
    messages += [(_TRAINER, trainer), (_NORMALIZER, {_NORMALIZER_NAME: b"identity"})]
    return b"".join([_field(number, _write_message(fields)) for number, fields in messages])


# Protocol buffers: https://protobuf.dev/programming-guides/encoding

_FIXED_SIZES: Final = {1: 8, 5: 4}  # bytes, by wire type


def _parse_message(content: int | bytes) -> _Message:
    """Return the fields of a message; of repeated field numbers, the last value."""
    if isinstance(content, int):
        raise ValueError(_NO_MODEL)
    return dict(_fields(content))


def _get(message: _Message, number: int, default: Value) -> Value:
    """Return the value of a field, which must have the same type as the default."""
    value = message.get(number, default)
    if not isinstance(value, type(default)):
        raise ValueError(_NO_MODEL)
    return value


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the value (an integer or bytes) of each field of a message."""
    at = count = 0
    while at < len(content):
        count += 1
        key, at = _parse_varint(content, at)
        if key & 7 == 0:
            value, at = _parse_varint(content, at)
            yield key >> 3, value
            continue
        if key & 7 == 2:
            size, at = _parse_varint(content, at)
        else:
            size = _FIXED_SIZES.get(key & 7, len(content))
        if at + size > len(content) or count > _MAX_FIELDS:
            raise ValueError(_NO_MODEL)
        yield key >> 3, content[at : at + size]
        at += size


def _parse_varint(content: bytes, at: int) -> tuple[int, int]:
    """Return the value of a varint, and the offset after it."""
    value = 0
    for end in range(at, min(at + 10, len(content))):
        value |= (content[end] & 0x7F) << 7 * (end - at)
        if content[end] < 0x80:
            return value, end + 1
    raise ValueError(_NO_MODEL)


def _write_message(fields: Mapping[int, int | float | bytes]) -> bytes:
    return b"".join(_field(number, value) for number, value in fields.items())


def _field(number: int, value: int | float | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    groups = []
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
