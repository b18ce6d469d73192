"""Vocabularies: counted from text, saved, and used by a tokenizer."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, Self, TypeVar

from nmt.core.errors import DataError
from nmt.core.special_tokens import SPECIAL_SYMBOLS
from nmt.text.normalization import Normalizer
from nmt.text.tokenizer import SavedTokenizer, Tokenizer

T = TypeVar("T")

_MAX_TOKENS: Final = 2**21
# Longer words are rare, or sentences in a script without blanks, which seldom occur twice.
_LONGEST_REMEMBERED: Final = 50
EMPTY_TEXT: Final = "data.train: has no text to train a tokenizer; check its files"


def cache_words(function: Callable[[str], T], most: int = 2**15) -> Callable[[str], T]:
    """Return a pure function of a word with a cache of the `most` last used words."""
    remembered = lru_cache(most)(function)
    return lambda word: remembered(word) if len(word) <= _LONGEST_REMEMBERED else function(word)


def count_words(
    normalizer: Normalizer,
    lines: Iterable[str],
    split: Callable[[str], Iterable[str]] = lambda word: (word,),
) -> Counter[str]:
    """Count the words of a text, or their parts; memory grows only with the vocabulary.

    Args:
        normalizer: normalises text first.
        lines: the text.
        split: splits a word into parts; by default, a word is one part.
    """
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(normalizer.words(line))
    parts: Counter[str] = Counter()
    for word, count in counts.items():
        for part in split(word):
            parts[part] += count
    return parts


class Vocabulary:
    """Tokens and their ids; the special symbols come first and do not occur in text.

    Args:
        tokens: distinct tokens without the special symbols, in the order of their ids.

    Attributes:
        tokens: all V tokens, the special symbols first.
        ids: id of each token, without the special symbols.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens: Final = (*SPECIAL_SYMBOLS, *tokens)
        first = len(SPECIAL_SYMBOLS)
        self.ids: Final = {token: first + at for at, token in enumerate(self.tokens[first:])}

    @classmethod
    def from_counts(cls, counts: Counter[str], size: int, min_count: int) -> Self:
        """Return the vocabulary of the most frequent tokens; ties are in alphabetical order.

        Args:
            counts: count of each token.
            size: maximum number of entries, including the special symbols.
            min_count: minimum count of a token.

        Raises:
            DataError: there are no tokens.
        """
        if not counts:
            raise DataError(EMPTY_TEXT)
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        frequent = [token for token in ranked if counts[token] >= min_count]
        return cls(frequent[: size - len(SPECIAL_SYMBOLS)])

    def to_bytes(self) -> bytes:
        """Return one token per line, in the order of ids."""
        return "".join(f"{token}\n" for token in self.tokens).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read the result of `to_bytes`.

        Raises:
            ValueError: the content is not UTF-8, has too many tokens, lacks the special symbols,
                or has a token that is a duplicate or contains a blank.
        """
        if content.count(b"\n") > _MAX_TOKENS:
            raise ValueError(f"a vocabulary has at most {_MAX_TOKENS:,} tokens")
        *lines, end = content.decode().split("\n")
        specials, tokens = lines[: len(SPECIAL_SYMBOLS)], lines[len(SPECIAL_SYMBOLS) :]
        if end or tuple(specials) != SPECIAL_SYMBOLS:
            raise ValueError("a vocabulary starts with the special symbols and ends with a line")
        if len(set(tokens)) < len(tokens):
            raise ValueError("duplicate token")
        if not all(token == " " or "".join(token.split()) == token for token in tokens):
            raise ValueError("a token contains a space")
        return cls(tokens)


class VocabularyTokenizer(Tokenizer):
    """A tokenizer whose model is a `Vocabulary`.

    Args:
        normalizer: normalises text first.
        vocabulary: the tokens.
        texts: text of each token; empty: the tokens themselves.
    """

    model_file = "vocabulary.txt"

    def __init__(
        self, normalizer: Normalizer, vocabulary: Vocabulary, texts: Sequence[str] = ()
    ) -> None:
        tokens = vocabulary.tokens
        super().__init__(normalizer, tokens, [text.encode() for text in texts or tokens])
        self._vocabulary = vocabulary

    def saved(self) -> SavedTokenizer:
        """See `Tokenizer.saved`."""
        return SavedTokenizer(self.name, self.normalizer, {}, self._vocabulary.to_bytes())

    @classmethod
    def restore(cls, saved: SavedTokenizer) -> Self:
        """See `Tokenizer.restore`."""
        if saved.options:
            raise ValueError(f"{cls.name} has no options")
        return cls(saved.normalizer, Vocabulary.from_bytes(saved.model))
