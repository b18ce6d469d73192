"""Models that SentencePiece itself has trained, brought into the form of those that nmt trains.

Their special symbols move to the ids of `nmt.core.special_tokens`; the other pieces keep their
order and their scores, so that a word is split as before.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import cast

from nmt.core.errors import RunError
from nmt.core.special_tokens import UNK
from nmt.system.files import read_regular
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_model import (
    BLANK,
    BYTE,
    BYTE_PIECES,
    KINDS_OF_SPECIALS,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    Piece,
    SentencePieceModel,
    check_pieces,
    parse_model,
    special_piece,
    write_model,
)
from nmt.text.sentencepiece_tokenizer import ModelType, SentencePieceTokenizer
from nmt.text.storage import MAX_MODEL_BYTES

logger = logging.getLogger(__name__)


def load_sentencepiece(
    path: Path, normalizer: Normalizer, *, sampling_alpha: float = 0.0
) -> SentencePieceTokenizer:
    """Read a model that SentencePiece itself has trained (`spm_train`), BPE or unigram.

    Its pieces and scores are kept, and get the ids of `nmt.core.special_tokens`. Its own
    normalisation is not used: `normalizer` takes its place, so that text comes back as that
    leaves it.

    Args:
        path: the file, `NAME.model`.
        normalizer: what is done to text first.
        sampling_alpha: see `SentencePieceTokenizer`.

    Raises:
        RunError: the file cannot be read, is no such model, or one that is not supported.
    """
    try:
        model = parse_model(read_regular(path, MAX_MODEL_BYTES))
        adopted = SentencePieceTokenizer(
            normalizer,
            convert_model(model),
            model_type=cast(ModelType, model.model_type),
            sampling_alpha=sampling_alpha,
        )
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RuntimeError) as error:
        raise RunError(
            f"{path}: not a SentencePiece model that can be used: {error}; give the .model file of "
            "a bpe or unigram model, or the folder of a tokenizer that nmt has saved"
        ) from None
    if model.rules and (wanted := _normalization(model.normalizer)) != normalizer:
        logger.warning(
            "%s: was trained with the normalisation %s, which is not used here: text is split as "
            "the model expects with tokenizer.normalization: %s and tokenizer.lowercase: %s",
            path,
            model.normalizer or "of its own rules",
            wanted.normalization,
            str(wanted.lowercase).lower(),
        )
    return adopted


def _normalization(name: str) -> Normalizer:
    """Return what is nearest to a normalisation of SentencePiece."""
    return Normalizer("nfkc", lowercase=name.endswith("_cf"))


def convert_model(model: SentencePieceModel) -> bytes:
    """Return a model of another tool as a file in the form of those that nmt trains.

    Control symbols besides pad, unk, bos and eos, and unused pieces, are left out: no text has
    them. Symbols that the model lacks are added.

    Raises:
        ValueError: it cannot be used; says why.
    """
    count = len(model.pieces)
    if not 0 <= model.ids[UNK] < count or model.pieces[model.ids[UNK]].kind != UNKNOWN:
        raise ValueError("it has no unknown symbol")
    kept = [piece for piece in model.pieces if piece.kind in (NORMAL, USER_DEFINED)]
    if model.byte_fallback:  # in the order of their values
        found = {piece.text: piece for piece in model.pieces if piece.kind == BYTE}
        kept = [found[text] for text in BYTE_PIECES if text in found] + kept
    specials = [
        Piece(special_piece(token), 0.0, kind) for token, kind in sorted(KINDS_OF_SPECIALS.items())
    ]
    adopted = replace(
        model,
        pieces=specials + kept,
        ids={special: special for special in KINDS_OF_SPECIALS},
        normalizer="identity",
        rules=b"",
    )
    check_pieces(adopted)
    if BLANK not in {piece.text for piece in kept}:
        raise ValueError(f"it has no piece for the blank ({BLANK})")
    return write_model(adopted)
