"""Lists of tokens with ids: how they are counted, kept, and used by a tokenizer."""

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
# Longer ones are rare, or text in a script without blanks, where each "word" is a new sentence.
_LONGEST_REMEMBERED: Final = 50
EMPTY_TEXT: Final = (
    "the training text is empty or blank, so that no tokenizer can be made of it: "
    "check the files of data.train"
)


def cache_words(function: Callable[[str], T], most: int = 2**15) -> Callable[[str], T]:
    """The same function of a word, which must be pure, with the latest `most` words remembered."""
    remembered = lru_cache(most)(function)
    return lambda word: remembered(word) if len(word) <= _LONGEST_REMEMBERED else function(word)


def count_words(
    normalizer: Normalizer,
    lines: Iterable[str],
    split: Callable[[str], Iterable[str]] | None = None,
) -> Counter[str]:
    """How often each word is in a text, or each part; memory grows with the vocabulary only.

    Args:
        normalizer: what is done to text first.
        lines: the text.
        split: splits a word into parts.
    """
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(normalizer.words(line))
    if split is None:
        return counts
    parts: Counter[str] = Counter()
    for word, count in counts.items():
        for part in split(word):
            parts[part] += count
    return parts


class Vocabulary:
    """Tokens and their ids; the special symbols come first and are no tokens of any text.

    Args:
        tokens: all but the special symbols, in the order of their ids; none of them twice.

    Attributes:
        tokens: V, the special symbols first.
        ids: of all but the special symbols.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self.tokens: Final = (*SPECIAL_SYMBOLS, *tokens)
        first = len(SPECIAL_SYMBOLS)
        self.ids: Final = {token: first + at for at, token in enumerate(self.tokens[first:])}

    @classmethod
    def from_counts(cls, counts: Counter[str], size: int, min_count: int) -> Self:
        """The most frequent tokens, the first in the alphabet where counts are equal.

        Args:
            counts: how often each token is in the text.
            size: most entries, the special symbols counted.
            min_count: least count of a token.

        Raises:
            DataError: there are no tokens.
        """
        if not counts:
            raise DataError(EMPTY_TEXT)
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        frequent = [token for token in ranked if counts[token] >= min_count]
        return cls(frequent[: size - len(SPECIAL_SYMBOLS)])

    def to_bytes(self) -> bytes:
        """One token a line, in the order of ids."""
        return "".join(f"{token}\n" for token in self.tokens).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` has written.

        Raises:
            ValueError: it is something else: not UTF-8, without the special symbols, or with a
                token that is there twice or has a blank in it.
        """
        if content.count(b"\n") > _MAX_TOKENS:
            raise ValueError(f"a vocabulary has at most {_MAX_TOKENS:,} tokens")
        *lines, end = content.decode().split("\n")
        specials, tokens = lines[: len(SPECIAL_SYMBOLS)], lines[len(SPECIAL_SYMBOLS) :]
        if end or tuple(specials) != SPECIAL_SYMBOLS:
            raise ValueError("a vocabulary starts with the special symbols and ends with a line")
        if len(set(tokens)) < len(tokens):
            raise ValueError("a token is there twice")
        if not all(token == " " or "".join(token.split()) == token for token in tokens):
            raise ValueError("a token has a blank in it")
        return cls(tokens)


class VocabularyTokenizer(Tokenizer):
    """A tokenizer whose model is a `Vocabulary`.

    Args:
        normalizer: what is done to text first.
        vocabulary: the tokens.
        texts: of each token, what it writes; see `Tokenizer`, as for the others.
        starts: of each token.
        ends: of each token.
    """

    model_file = "vocabulary.txt"

    def __init__(
        self,
        normalizer: Normalizer,
        vocabulary: Vocabulary,
        texts: Sequence[str] = (),
        starts: Sequence[bool] | None = None,
        ends: Sequence[bool] | None = None,
    ) -> None:
        tokens = vocabulary.tokens
        super().__init__(
            normalizer, tokens, [text.encode() for text in texts or tokens], starts, ends
        )
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
