"""The faces of a tokenizer and of its trainer, and what all tokenizers share."""

import functools
import hashlib
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from nmt.core.special_tokens import EOS, SPECIAL_SYMBOLS, UNK
from nmt.core.writing_systems import is_word_character
from nmt.text.normalization import Normalizer
from nmt.text.reader import EncodedWords, SourceReader
from nmt.text.unit_tokens import UnitTokens, one_to_one, split_sentence
from nmt.word_alignment.units import AlignmentUnits

FORMAT_VERSION: Final = 1
UNKNOWN_TEXT: Final = "⁇"
"""How an unknown token reads in decoded text (U+2047, as in SentencePiece)."""

Options = Mapping[str, str | int | float]


@dataclass(frozen=True)
class SavedTokenizer:
    """All that a tokenizer is made of.

    Attributes:
        name: its name in the table of tokenizers.
        normalizer: what is done to text first.
        options: what matters besides the model.
        model: the content of the model file.
    """

    name: str
    normalizer: Normalizer
    options: Options
    model: bytes

    def fingerprint(self) -> str:
        """SHA-256 of all of it."""
        return sha256(json.dumps(self.describe(), sort_keys=True).encode())

    def describe(self) -> dict[str, Any]:
        """All of it for JSON; of the model, the checksum."""
        return {
            "format": FORMAT_VERSION,
            "name": self.name,
            "normalizer": asdict(self.normalizer),
            "options": dict(self.options),
            "model_sha256": sha256(self.model),
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any], model: bytes) -> Self:
        """Return what `describe` and the model file say.

        Raises:
            ValueError, KeyError, TypeError: they are something else.
        """
        name, options = description["name"], description["options"]
        if not isinstance(name, str) or not isinstance(options, dict):
            raise TypeError("the name or the options of the tokenizer are of another type")
        return cls(name, Normalizer(**description["normalizer"]), options, model)


class Tokenizer(SourceReader[str]):
    """Text to tokens and back; immutable, and pickled as what it is made of.

    A word (what stands between blanks) is encoded the same wherever it stands, so that tokens
    always belong to one word. The vocabulary starts with the four special symbols; text never
    becomes PAD, BOS or EOS, whatever it says.

    Args:
        normalizer: what is done to text first.
    """

    item_type: ClassVar[type] = str
    name: ClassVar[str]
    """Its name in the table of tokenizers."""
    model_file: ClassVar[str]
    """The name of the file that holds its model."""
    between_words: tuple[int, ...] = ()
    """Tokens between the tokens of two words."""

    def __init__(self, normalizer: Normalizer) -> None:
        self.normalizer = normalizer

    @abstractmethod
    def encode_word(self, word: str) -> Sequence[int]:
        """The tokens, at least one, of a word that is not empty and has no blanks."""

    def sample_word(self, word: str, rng: random.Random) -> Sequence[int]:
        """Tokens of the word at random, where the tokenizer has several ways to encode it."""
        return self.encode_word(word)

    @abstractmethod
    def token_text(self, token: int) -> bytes:
        """Return the UTF-8 of a token without blanks; of PAD, BOS and EOS it is empty.

        A token may be a part of a character.
        """

    @abstractmethod
    def starts_word(self, before: int, token: int) -> bool:
        """Whether there is a blank between two tokens that follow each other."""

    @abstractmethod
    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each token as a string to look at."""

    @abstractmethod
    def saved(self) -> SavedTokenizer:
        """All that it is made of."""

    @classmethod
    @abstractmethod
    def restore(cls, saved: SavedTokenizer) -> Self:
        """Return the tokenizer that `saved` describes.

        Raises:
            ValueError, KeyError, TypeError, RuntimeError: it is of another kind, or damaged.
        """

    def encode(self, text: str, rng: random.Random | None = None) -> list[int]:
        """The tokens of any text (normalised here), without BOS and EOS."""
        ids: list[int] = []
        for word in self.normalizer.words(text):
            ids += self.between_words if ids else ()
            ids += self.encode_word(word) if rng is None else self.sample_word(word, rng)
        return ids

    def encode_words(self, text: str) -> EncodedWords:
        """Return the tokens of `encode` and the words of the raw text that they belong to."""
        ids: list[int] = []
        word_of_token: list[int] = []
        words = self.normalizer.split(text)
        for index, (_, parts) in enumerate(words):
            for part in parts:
                ids += [*(self.between_words if ids else ()), *self.encode_word(part)]
            word_of_token += [index] * (len(ids) - len(word_of_token))
        return EncodedWords(ids, [word for word, _ in words], word_of_token)

    def decode(self, ids: Sequence[int]) -> str:
        """Detokenized text on one line; PAD, BOS and EOS dropped, UNK as `UNKNOWN_TEXT`.

        Of the tokens of a text this is the normalised text, except what is unknown.
        """
        return " ".join(self.decode_words(ids).words)

    def decode_words(self, ids: Sequence[int]) -> EncodedWords:
        """The words of any tokens, as a model may write them.

        Tokens without text (PAD, BOS, EOS, a blank too many) go with a word beside them; where no
        token has text there is one word, which is empty.
        """
        groups: list[list[int]] = []
        has_text = True
        for position, token in enumerate(ids):
            if not groups or (has_text and self.starts_word(ids[position - 1], token)):
                groups.append([])
                has_text = False
            groups[-1].append(token)
            has_text = has_text or bool(self.token_text(token))
        words: list[str] = []
        word_of_token: list[int] = []
        for group in groups:
            word = self.join(group)
            if words and not (word and words[-1]):  # blanks, which several bytes can write too
                words[-1] += word
            else:
                words.append(word)
            word_of_token += [len(words) - 1] * len(group)
        return EncodedWords(list(ids), words, word_of_token)

    def join(self, ids: Sequence[int]) -> str:
        """The text, without blanks, of the tokens of one word."""
        return b"".join(map(self.token_text, ids)).decode(errors="replace")

    def split_units(self, sentence: EncodedWords, units: AlignmentUnits) -> UnitTokens:
        """See `SourceReader.split_units`."""
        ids = [int(token) for token in sentence.ids]
        if units == "pieces":
            return one_to_one(self.pieces(ids), "pieces")
        return split_sentence(
            sentence.words,
            sentence.word_of_token,
            units,
            lambda: [None if token == UNK else len(self.token_text(token)) for token in ids],
            lambda text: len("".join(self.normalizer.words(text)).encode()),
        )

    @property
    def token_dtype(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds every id."""
        return np.dtype("<u2" if len(self) <= 2**16 else "<u4")

    def fingerprint(self) -> str:
        """SHA-256 of everything that changes ids."""
        return self.saved().fingerprint()

    def __reduce__(self) -> tuple[object, ...]:
        return type(self).restore, (self.saved(),)


@functools.lru_cache(maxsize=4)
def word_edges(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """`[2 V]`: before which tokens a word has ended, and after which one may begin.

    Punctuation is no part of a word here: "hat" stands in "hat," and in "hat's", and not in
    "hats". (Where tokens are joined from both sides, it is supposed that the other does not.)
    """
    edges = np.ones((2, len(tokenizer)), dtype=bool)
    for token in range(len(SPECIAL_SYMBOLS), len(tokenizer)):
        if text := tokenizer.join([token]):
            is_start = tokenizer.starts_word(EOS, token)
            edges[0, token] = is_start or not is_word_character(text[0])
            edges[1, token] = not is_word_character(text[-1])
    return edges


class TokenizerTrainer(ABC):
    """Makes a tokenizer from text; the keyword-only arguments of a trainer are its options.

    Args:
        normalizer: what the tokenizer is to do to text first.
    """

    tokenizer: ClassVar[type[Tokenizer]]
    """What it makes."""

    def __init__(self, normalizer: Normalizer) -> None:
        self.normalizer = normalizer

    @abstractmethod
    def train(self, lines: Callable[[], Iterator[str]]) -> Tokenizer:
        """A tokenizer for this text: the same one for the same text and options.

        Args:
            lines: gives the lines of the text, raw; called as often as needed.

        Raises:
            DataError: no tokenizer can be made of the text.
            ConfigError: the options do not suit the text.
        """


def sha256(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
