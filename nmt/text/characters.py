"""Character tokenizer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Final

from annotated_types import Ge, Le

from nmt.core.special_tokens import UNK
from nmt.text.normalization import Normalizer
from nmt.text.tokenizer import TokenizerTrainer
from nmt.text.vocabulary import Vocabulary, VocabularyTokenizer, count_words

_BLANK: Final = " "


class CharacterTokenizer(VocabularyTokenizer):
    """Each character of a word is a token, and so is the blank between words.

    A blank belongs to the word that follows it.

    Args:
        normalizer: normalises text first.
        vocabulary: the characters and the blank.
    """

    name = "characters"

    def __init__(self, normalizer: Normalizer, vocabulary: Vocabulary) -> None:
        texts = [token.strip(_BLANK) for token in vocabulary.tokens]
        super().__init__(normalizer, vocabulary, texts)
        self.between_words = (self._find(_BLANK),)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return each token as a printable string, with the blank as ``▁``."""
        return [piece.replace(_BLANK, "▁") for piece in super().pieces(ids)]

    def encode_word(self, word: str) -> list[int]:
        """Return one token for each character."""
        return list(map(self._find, word))

    def starts_word(self, before: int, token: int) -> bool:
        """Return whether the token is a blank."""
        return self._pieces[token] == _BLANK

    def _find(self, character: str) -> int:
        return self._vocabulary.ids.get(character, UNK)


@dataclass(frozen=True)
class CharacterTrainer(TokenizerTrainer):
    """Vocabulary of the most frequent characters.

    Args:
        normalizer: normalises text before it is tokenized.
        vocabulary_size: maximum number of vocabulary entries.
        min_count: minimum number of times that a character must occur to get an entry.
    """

    tokenizer = CharacterTokenizer

    _: KW_ONLY
    vocabulary_size: Annotated[int, Ge(6), Le(2_000_000)] = 5_000
    min_count: Annotated[int, Ge(1)] = 1

    def train(self, lines: Callable[[], Iterator[str]]) -> CharacterTokenizer:
        """See `TokenizerTrainer.train`."""
        counts = count_words(self.normalizer, lines(), split=list)
        if counts:
            counts[_BLANK] = counts.total()  # ranks first, so it is always in the vocabulary
        vocabulary = Vocabulary.from_counts(counts, self.vocabulary_size, self.min_count)
        return CharacterTokenizer(self.normalizer, vocabulary)
