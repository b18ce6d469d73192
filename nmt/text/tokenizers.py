"""The tokenizers to choose from, and how a saved one is read again."""

import logging
from pathlib import Path
from typing import Final, cast

from nmt.core.errors import RunError
from nmt.system.untrusted_files import read_regular
from nmt.text.characters import CharacterTrainer
from nmt.text.normalization import Normalizer
from nmt.text.sentencepiece_model import adopt_model, parse_model
from nmt.text.sentencepiece_tokenizer import ModelType, SentencePieceTokenizer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.storage import MAX_MODEL_BYTES, SavedTokenizer, read_tokenizer
from nmt.text.tokenizer import Tokenizer, TokenizerTrainer
from nmt.text.words import WordTrainer

TOKENIZERS: Final[dict[str, type[TokenizerTrainer]]] = {
    "sentencepiece": SentencePieceTrainer,
    "characters": CharacterTrainer,
    "words": WordTrainer,
}

logger = logging.getLogger(__name__)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer that was saved in a folder.

    Raises:
        RunError: a file is missing, cannot be read, is damaged or of another version.
    """
    return restore_tokenizer(read_tokenizer(folder), folder)


def restore_tokenizer(saved: SavedTokenizer, origin: Path) -> Tokenizer:
    """The tokenizer that was taken apart.

    Args:
        saved: its parts.
        origin: where they were read, for the message.

    Raises:
        RunError: this version has no such tokenizer, or the parts do not make one.
    """
    if saved.name not in TOKENIZERS:
        raise RunError(
            f"{origin}: made by a tokenizer {saved.name!r}, which this version of nmt does not "
            f"have (it has {', '.join(TOKENIZERS)}): use the version that wrote it, or train anew"
        )
    tokenizer = TOKENIZERS[saved.name].tokenizer
    try:
        return tokenizer.restore(saved.normalizer, saved.model, saved.options)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise RunError(
            f"{origin}: not a tokenizer that nmt has saved ({error}); copy it again from where it "
            "was trained, or train again"
        ) from None


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
            adopt_model(model),
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
