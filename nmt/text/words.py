"""Each word a token, and each punctuation mark, with marks that say where there was no blank."""

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
# Unicode categories whose characters are a token each; vocabularies depend on them.
_MARKS: Final = "PS"
# Stands for the joiner in a text: each mark of a text is one character.
_JOINER_IN_TEXT: Final = "■■"
_FORMER_JOINER_IN_TEXT: Final = "■"  # in vocabularies of earlier versions; NFKC writes it so, too


def split_word(word: str) -> list[str]:
    """A word without blanks as words and punctuation, so that it can be put together again.

    Punctuation and symbols (Unicode categories P and S) are a token each, the rest in runs. A
    joiner shows where two tokens touch. It is put on punctuation, so that ``word`` is the same
    token in ``word`` and in ``(word)``: "(don't)." becomes ``(￭ don ￭'￭ t ￭) ￭.``
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
    """Return the same mark with other joiners, the most similar first; nothing for a word."""
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
    """Words and punctuation are tokens (see `split_word`); the rare ones are unknown.

    A mark that is unknown with its joiners is looked up with others before it is unknown: "Jerry."
    can be read by a vocabulary of text in which a space stands before each full stop.

    Args:
        normalizer: what is done to text first.
        vocabulary: words and punctuation, with joiners.
    """

    name = "words"

    def __init__(self, normalizer: Normalizer, vocabulary: Vocabulary) -> None:
        tokens = vocabulary.tokens
        texts = [token.strip(JOINER) for token in tokens]
        super().__init__(
            normalizer,
            vocabulary,
            [JOINER if text == _JOINER_IN_TEXT else text for text in texts],
            starts=[not token.startswith(JOINER) for token in tokens],
            ends=[not token.endswith(JOINER) for token in tokens],
        )
        self._known_words = cache_words(lambda word: tuple(map(self._find, split_word(word))))

    def encode_word(self, word: str) -> tuple[int, ...]:
        """The tokens of the word and of its punctuation."""
        return self._known_words(word)

    def _find(self, token: str) -> int:
        """Return the id of a token, or of the same mark with other joiners, or UNK."""
        ids = self._vocabulary.ids
        if token in ids:
            return ids[token]
        return next((ids[other] for other in _other_joins(token) if other in ids), UNK)


@dataclass(frozen=True)
class WordTrainer(TokenizerTrainer):
    """Takes the most frequent words and punctuation marks.

    Args:
        normalizer: what the tokenizer is to do to text first.
        vocabulary_size: most entries of the vocabulary.
        min_count: times that a word must be in the text to have an entry.
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
