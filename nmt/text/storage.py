"""Saved tokenizers: a folder with `tokenizer.json` and a model file, verified by checksums."""

import json
import logging
import os
from pathlib import Path
from typing import Final

from nmt.core.errors import ConfigError, RunError, os_advice
from nmt.system.files import MAX_JSON_BYTES, atomic_folder, parse_json, read_regular, write_flushed
from nmt.system.plugins import find
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_model import convert_model, parse_model
from nmt.text.sentencepiece_tokenizer import SentencePieceTokenizer
from nmt.text.table import TOKENIZERS
from nmt.text.tokenizer import FORMAT_VERSION, SavedTokenizer, Tokenizer

DESCRIPTION: Final = "tokenizer.json"
# Size limit of a model file; half a million subwords take less.
MAX_MODEL_BYTES: Final = 2**25
logger = logging.getLogger(__name__)

_REMEDY: Final = "copy it again from where it was trained, or train again"


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Save a tokenizer in a folder, replacing the folder's content.

    Raises:
        RunError: the folder cannot be written.
    """
    write_tokenizer(folder, tokenizer.model_file, tokenizer.saved_with_class())


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer saved in a folder.

    Raises:
        RunError: a file is missing, unreadable, corrupted, or has another version.
    """
    return restore_tokenizer(read_tokenizer(folder), folder)


def restore_tokenizer(saved: SavedTokenizer, origin: Path) -> Tokenizer:
    """Rebuild a tokenizer from its saved form.

    Args:
        saved: the saved form.
        origin: where it was read from, for the message.

    Raises:
        RunError: this version of nmt has no such tokenizer, its class is from outside the package
            and may not be imported, or the saved form is invalid.
    """
    if saved.plugin is not None:
        try:
            tokenizer = find(saved.plugin, Tokenizer)  # type: ignore[type-abstract]
        except ConfigError as error:
            raise RunError(f"{origin}: {error}") from None
    elif saved.name in TOKENIZERS:
        tokenizer = TOKENIZERS[saved.name].tokenizer
    else:
        raise RunError(
            f"{origin}: tokenizer {saved.name!r} is not supported by this version of nmt, only "
            f"{', '.join(TOKENIZERS)}; use the version that wrote it, or train again"
        )
    try:
        return tokenizer.restore(saved)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise RunError(f"{origin}: not a tokenizer saved by nmt ({error}); {_REMEDY}") from None


def load_sentencepiece(
    path: Path, normalizer: Normalizer, *, sampling_alpha: float = 0.0
) -> SentencePieceTokenizer:
    """Read a BPE or unigram model trained with SentencePiece's own tools (`spm_train`).

    Pieces and scores are kept; special symbols get the ids of `nmt.core.special_tokens`. The
    model's own normalisation is replaced by `normalizer`, so decoding returns text as `normalizer`
    leaves it.

    Args:
        path: the file, `NAME.model`.
        normalizer: normalises text first.
        sampling_alpha: see `SentencePieceTokenizer`.

    Raises:
        RunError: the file cannot be read, is not such a model, or is not supported.
    """
    try:
        model = parse_model(read_regular(path, MAX_MODEL_BYTES))
        adopted = SentencePieceTokenizer(
            normalizer, convert_model(model), model.model_type, sampling_alpha
        )
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RuntimeError) as error:
        raise RunError(
            f"{path}: not a supported SentencePiece model ({error}); give the .model file of a bpe "
            "or unigram model, or the folder of a tokenizer saved by nmt"
        ) from None
    # The closest equivalent of SentencePiece's normalisation.
    wanted = Normalizer("nfkc", lowercase=model.normalizer.endswith("_cf"))
    if model.rules and wanted != normalizer:
        logger.warning(
            f"{path}: was trained with the normalization {model.normalizer or 'of its own rules'}, "
            "which is not used here; for the closest one, set tokenizer.normalization: "
            f"{wanted.normalization} and tokenizer.lowercase: {str(wanted.lowercase).lower()}"
        )
    return adopted


def write_tokenizer(folder: Path, model_file: str, saved: SavedTokenizer) -> None:
    """Write a folder with both files atomically, replacing an existing folder.

    Raises:
        RunError: the folder cannot be written, or the model exceeds `MAX_MODEL_BYTES`; existing
            files are left untouched.
    """
    if len(saved.model) > MAX_MODEL_BYTES:
        raise RunError(
            f"{folder}: the vocabulary has {len(saved.model):,} bytes, above the limit of "
            f"{MAX_MODEL_BYTES:,}; lower tokenizer.vocabulary_size, or put spaces between the words"
        )
    description = saved.describe() | {
        "model_file": model_file,
        "fingerprint": saved.fingerprint(),
    }
    try:
        with atomic_folder(folder) as fresh:
            write_flushed(fresh / model_file, saved.model)
            content = json.dumps(description, indent=2) + "\n"
            write_flushed(fresh / DESCRIPTION, content.encode())
    except OSError as error:
        raise RunError(
            f"{folder}: cannot write the tokenizer ({error.strerror or error}); "
            f"{os_advice(error) or 'change the permissions'}"
        ) from error


def read_tokenizer(folder: Path) -> SavedTokenizer:
    """Read what `write_tokenizer` wrote.

    Raises:
        RunError: a file is missing, unreadable, corrupted, or has another format.
    """
    path = folder / DESCRIPTION
    try:
        description = parse_json(_read(path, MAX_JSON_BYTES))
        if type(description["format"]) is int and description["format"] != FORMAT_VERSION:
            raise RunError(
                f"{path}: tokenizer format {description['format']} is not supported, only "
                f"{FORMAT_VERSION}; use the version of nmt that wrote it, or train again"
            )
        model_file = description["model_file"]
        if model_file in ("", ".", "..") or os.path.basename(model_file) != model_file:
            raise ValueError("the model file must be in the folder")
        model = _read(folder / model_file, MAX_MODEL_BYTES)
        saved = SavedTokenizer.from_description(description, model)
        model_sha256, fingerprint = description["model_sha256"], description["fingerprint"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: corrupted: not a tokenizer; {_REMEDY}") from error
    if saved.describe()["model_sha256"] != model_sha256:
        raise RunError(f"{folder / model_file}: corrupted: checksum differs from {path}; {_REMEDY}")
    if saved.fingerprint() != fingerprint:
        raise RunError(f"{path}: corrupted or edited: checksum mismatch; {_REMEDY}")
    return saved


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        return read_regular(path, max_bytes)
    except FileNotFoundError:
        raise RunError(f"{path}: missing from the tokenizer; {_REMEDY}") from None
    except OSError as error:
        raise RunError(
            f"{path}: cannot be read ({error.strerror or error}); make it readable, or {_REMEDY}"
        ) from error
