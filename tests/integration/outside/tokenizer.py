"""A tokenizer: each word is cut into pairs of characters."""

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from annotated_types import Ge

from nmt.core.special_tokens import UNK
from nmt.text.normalization import Normalizer
from nmt.text.tokenizer import TokenizerTrainer
from nmt.text.vocabulary import Vocabulary, VocabularyTokenizer, count_words


def split(word: str) -> list[str]:
    """Return the pairs of a word; the first has a mark."""
    pairs = [word[start : start + 2] for start in range(0, len(word), 2)]
    return [f"▁{pairs[0]}", *pairs[1:]]


class PairTokenizer(VocabularyTokenizer):
    """Two characters are one token."""

    name = "pairs"

    def __init__(self, normalizer: Normalizer, vocabulary: Vocabulary) -> None:
        texts = [token.removeprefix("▁") for token in vocabulary.tokens]
        super().__init__(normalizer, vocabulary, texts)

    def encode_word(self, word: str) -> list[int]:
        """Return one token for each pair."""
        return [self._vocabulary.ids.get(pair, UNK) for pair in split(word)]

    def starts_word(self, before: int, token: int) -> bool:
        """Return whether the pair is the first of a word."""
        return self._pieces[token].startswith("▁")


@dataclass(frozen=True)
class PairTrainer(TokenizerTrainer):
    """Vocabulary of the most frequent pairs.

    Args:
        normalizer: normalises text before it is tokenized.
        vocabulary_size: maximum number of vocabulary entries.
    """

    tokenizer = PairTokenizer

    _: KW_ONLY
    vocabulary_size: Annotated[int, Ge(5)] = 1_000

    def train(self, lines: Callable[[], Iterator[str]]) -> PairTokenizer:
        """See `TokenizerTrainer.train`."""
        counts = count_words(self.normalizer, lines(), split)
        vocabulary = Vocabulary.from_counts(counts, self.vocabulary_size, 1)
        return PairTokenizer(self.normalizer, vocabulary)
