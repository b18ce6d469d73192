"""Each character a token."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Final, Self

from annotated_types import Ge, Le

from nmt.core.special_tokens import UNK
from nmt.text.normalization import Normalizer
from nmt.text.tokenizer import UNKNOWN_TEXT, Options, Tokenizer, TokenizerTrainer
from nmt.text.vocabulary import Vocabulary, count_words

_BLANK: Final = " "


class CharacterTokenizer(Tokenizer):
    """Each character of a word is a token, and so is the blank between words.

    The blank is counted to the word that follows it.

    Args:
        normalizer: what is done to text first.
        vocabulary: the characters and the blank.
    """

    name = "characters"
    model_file = "vocabulary.txt"

    def __init__(self, normalizer: Normalizer, vocabulary: Vocabulary) -> None:
        super().__init__(normalizer)
        self._vocabulary = vocabulary
        self._blank = vocabulary.id_of(_BLANK)
        self._between_words = (self._blank,)

    def __len__(self) -> int:
        return len(self._vocabulary)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each token as a string to look at; the blank as ``▁``."""
        return ["▁" if token == self._blank else self._vocabulary.token(token) for token in ids]

    @classmethod
    def restore(cls, normalizer: Normalizer, model: bytes, options: Options) -> Self:
        """See `Tokenizer.restore`."""
        if options:
            raise ValueError(f"{cls.name} has no options")
        return cls(normalizer, Vocabulary.from_bytes(model))

    def _model(self) -> bytes:
        return self._vocabulary.to_bytes()

    def _encode_word(self, word: str) -> list[int]:
        return [self._vocabulary.id_of(character) for character in word]

    def _starts_word(self, ids: Sequence[int], position: int) -> bool:
        return ids[position] == self._blank

    def _is_blank(self, token: int) -> bool:
        return token == self._blank or super()._is_blank(token)

    def _join(self, ids: Sequence[int]) -> str:
        return "".join(
            UNKNOWN_TEXT if token == UNK else self._vocabulary.token(token)
            for token in ids
            if not self._is_blank(token)
        )


class CharacterTrainer(TokenizerTrainer):
    """Takes the most frequent characters.

    Args:
        normalizer: what the tokenizer is to do to text first.
        vocabulary_size: most entries of the vocabulary.
        min_count: times that a character must be in the text to have an entry.
    """

    tokenizer = CharacterTokenizer

    def __init__(
        self,
        normalizer: Normalizer,
        *,
        vocabulary_size: Annotated[int, Ge(6), Le(2_000_000)] = 5_000,
        min_count: Annotated[int, Ge(1)] = 1,
    ) -> None:
        super().__init__(normalizer)
        self.vocabulary_size = vocabulary_size
        self.min_count = min_count

    def train(self, lines: Callable[[], Iterator[str]]) -> CharacterTokenizer:
        """See `TokenizerTrainer.train`."""
        counts: Counter[str] = Counter()
        for word, count in count_words(self.normalizer, lines()).items():
            for character in word:
                counts[character] += count
        if counts:
            counts[_BLANK] = counts.total()  # first, to be there whatever the options
        vocabulary = Vocabulary.from_counts(counts, self.vocabulary_size, self.min_count)
        return CharacterTokenizer(self.normalizer, vocabulary)
