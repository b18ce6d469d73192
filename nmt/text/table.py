"""The tokenizers that a configuration can name."""

from typing import Final

from nmt.text.characters import CharacterTrainer
from nmt.text.sentencepiece_trainer import SentencePieceTrainer
from nmt.text.tokenizer import TokenizerTrainer
from nmt.text.words import WordTrainer

TOKENIZERS: Final[dict[str, type[TokenizerTrainer]]] = {
    "sentencepiece": SentencePieceTrainer,
    "characters": CharacterTrainer,
    "words": WordTrainer,
}
