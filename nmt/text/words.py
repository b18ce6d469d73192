"""Word tokenizer: words and punctuation marks are tokens, with joiners where there is no blank."""

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from itertools import groupby
from typing import Annotated, Final
from unicodedata import category

from annotated_types import Ge, Le

from nmt.core.special_tokens import UNK
from nmt.text.normalization import Normalizer
from nmt.text.tokenizer import TokenizerTrainer
from nmt.text.vocabulary import Vocabulary, VocabularyTokenizer, cache_words, count_words

JOINER: Final = "￭"
# Unicode categories whose characters are separate tokens; saved vocabularies depend on them.
_MARKS: Final = "PS"
# Replaces a joiner in the text; unambiguous, because other marks are single characters.
_JOINER_IN_TEXT: Final = "■■"
_FORMER_JOINER_IN_TEXT: Final = "■"  # in vocabularies of earlier versions; also NFKC of JOINER


def split_word(word: str) -> list[str]:
    """Split a word without blanks into words and punctuation, reversibly.

    Each character of Unicode categories P and S is a token, and so is each run of other
    characters. A joiner marks where two tokens touch. It is attached to the punctuation, so
    ``word`` is the same token in ``word`` and ``(word)``: "(don't)." becomes
    ``(￭ don ￭'￭ t ￭) ￭.``
    """
    if word.isalnum():  # for speed
        return [word]
    tokens: list[str] = []
    for is_mark, run in groupby(word, lambda character: category(character)[0] in _MARKS):
        for text in run if is_mark else ("".join(run),):
            token = _JOINER_IN_TEXT if text == JOINER else text
            if tokens and not is_mark:
                tokens[-1] += JOINER
            tokens.append(JOINER + token if tokens and is_mark else token)
    return tokens


def _other_joins(token: str) -> list[str]:
    """Return a mark with other joiners, the most similar first; an empty list for a word."""
    mark = token.strip(JOINER)
    if mark == _JOINER_IN_TEXT:
        former = token.replace(mark, _FORMER_JOINER_IN_TEXT)
        return [former, *_other_joins(former)]
    if len(mark) != 1 or category(mark)[0] not in _MARKS:
        return []
    others = (mark, JOINER + mark, mark + JOINER, JOINER + mark + JOINER)

    def difference(other: str) -> int:
        ends = zip((token[0], token[-1]), (other[0], other[-1]), strict=True)
        return sum((here == JOINER) != (there == JOINER) for here, there in ends)

    return sorted(filter(difference, others), key=difference)


class WordTokenizer(VocabularyTokenizer):
    """Tokenizer whose tokens are words and punctuation (see `split_word`); rare ones are unknown.

    A mark that is unknown with its joiners is looked up with other joiners. For example, "Jerry."
    can be read with a vocabulary learned from text with a space before each full stop.

    Args:
        normalizer: normalises text first.
        vocabulary: words and punctuation, with joiners.
    """

    name = "words"

    def __init__(self, normalizer: Normalizer, vocabulary: Vocabulary) -> None:
        texts = [token.strip(JOINER) for token in vocabulary.tokens]
        texts = [JOINER if text == _JOINER_IN_TEXT else text for text in texts]
        super().__init__(normalizer, vocabulary, texts)
        self._known_words = cache_words(lambda word: tuple(map(self._find, split_word(word))))

    def encode_word(self, word: str) -> tuple[int, ...]:
        """Return the tokens of the word and of its punctuation."""
        return self._known_words(word)

    def starts_word(self, before: int, token: int) -> bool:
        """Return whether no joiner connects the tokens."""
        pieces = self._pieces
        return not (pieces[before].endswith(JOINER) or pieces[token].startswith(JOINER))

    def _find(self, token: str) -> int:
        """Return the id of a token, else of the same mark with other joiners, else UNK."""
        ids = self._vocabulary.ids
        if token in ids:
            return ids[token]
        return next((ids[other] for other in _other_joins(token) if other in ids), UNK)


@dataclass(frozen=True)
class WordTrainer(TokenizerTrainer):
    """Vocabulary of the most frequent words and punctuation marks.

    Args:
        normalizer: normalises text before it is tokenized.
        vocabulary_size: maximum number of vocabulary entries.
        min_count: minimum number of times that a word must occur to get an entry.
    """

    tokenizer = WordTokenizer

    _: KW_ONLY
    vocabulary_size: Annotated[int, Ge(5), Le(2_000_000)] = 30_000
    min_count: Annotated[int, Ge(1)] = 1

    def train(self, lines: Callable[[], Iterator[str]]) -> WordTokenizer:
        """See `TokenizerTrainer.train`."""
        counts = count_words(self.normalizer, lines(), split_word)
        vocabulary = Vocabulary.from_counts(counts, self.vocabulary_size, self.min_count)
        return WordTokenizer(self.normalizer, vocabulary)
