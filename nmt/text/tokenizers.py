"""The tokenizers to choose from, and how a saved one is read again."""

from pathlib import Path
from typing import Final

from nmt.errors import RunError
from nmt.text.characters import CharacterTrainer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.storage import SavedTokenizer, read_tokenizer
from nmt.text.tokenizer import Tokenizer, TokenizerTrainer
from nmt.text.words import WordTrainer

TOKENIZERS: Final[dict[str, type[TokenizerTrainer]]] = {
    "sentencepiece": SentencePieceTrainer,
    "characters": CharacterTrainer,
    "words": WordTrainer,
}


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
        RunError: this version has no such tokenizer.
    """
    if saved.name not in TOKENIZERS:
        raise RunError(
            f"{origin}: made by a tokenizer {saved.name!r}, which this version of nmt does not "
            f"have (it has {', '.join(TOKENIZERS)}): use the version that wrote it, or train anew"
        )
    return TOKENIZERS[saved.name].tokenizer.restore(saved.normalizer, saved.model, saved.options)
