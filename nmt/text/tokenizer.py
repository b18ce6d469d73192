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

from nmt.alignment.units import AlignmentUnits
from nmt.core.scripts import is_word_character
from nmt.core.special_tokens import BOS, EOS, PAD, SPECIAL_SYMBOLS, UNK
from nmt.text.normalization import Normalizer
from nmt.text.reader import EncodedWords, SourceReader, Tokens
from nmt.text.unit_tokens import UnitTokens, one_to_one, split_sentence

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
    """Text to tokens and back; immutable, and pickled as its model.

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
    _between_words: tuple[int, ...] = ()

    def __init__(self, normalizer: Normalizer) -> None:
        self.normalizer = normalizer

    @property
    def token_type(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds every id."""
        return np.dtype("<u2" if len(self) <= 2**16 else "<u4")

    def encode(self, text: str) -> list[int]:
        """The tokens of any text (normalised here), without BOS and EOS."""
        ids: list[int] = []
        for word in self.normalizer.words(text):
            if ids:
                ids += self._between_words
            ids += self._encode_word(word)
        return ids

    def encode_sampled(self, text: str, rng: random.Random) -> list[int]:
        """Like `encode`, in a way that is drawn anew each time, where the tokenizer has several.

        Args:
            text: any text; the tokens decode to the same as those of `encode`.
            rng: decides; the same state gives the same tokens.
        """
        return self.encode(text)

    def encode_words(self, text: str) -> EncodedWords:
        """Return the tokens of `encode` and the words of the raw text that they belong to."""
        ids: list[int] = []
        word_of_token: list[int] = []
        words = self.normalizer.split(text)
        for index, (_, parts) in enumerate(words):
            for part in parts:
                ids += [*(self._between_words if ids else ()), *self._encode_word(part)]
            word_of_token += [index] * (len(ids) - len(word_of_token))
        return EncodedWords(ids, [word for word, _ in words], word_of_token)

    def split_units(self, sentence: EncodedWords, units: AlignmentUnits) -> UnitTokens:
        """See `SourceReader.split_units`."""
        ids = [int(token) for token in sentence.ids]
        if units == "pieces":
            return one_to_one(self.pieces(ids), "pieces")
        return split_sentence(
            sentence.words,
            sentence.word_of_token,
            units,
            lambda: [None if token == UNK else self._num_bytes(token) for token in ids],
            lambda text: len("".join(self.normalizer.words(text)).encode()),
        )

    def count_unknown(self, tokens: Tokens) -> int:
        """How many of these tokens are UNK."""
        return sum(token == UNK for token in tokens)

    def split_words(self, ids: Sequence[int]) -> EncodedWords:
        """The words of any tokens, as a model may write them.

        Tokens without text (PAD, BOS, EOS, a blank too many) go with a word beside them; where no
        token has text there is one word, which is empty.
        """
        groups: list[list[int]] = []
        has_text = True
        for position, token in enumerate(ids):
            if not groups or (has_text and self._starts_word(ids, position)):
                groups.append([])
                has_text = False
            groups[-1].append(token)
            has_text = has_text or not self._is_blank(token)
        words: list[str] = []
        word_of_token: list[int] = []
        for group in groups:
            word = self._join(group)
            if words and not (word and words[-1]):  # blanks, which several bytes can write too
                words[-1] += word
            else:
                words.append(word)
            word_of_token += [len(words) - 1] * len(group)
        return EncodedWords(list(ids), words, word_of_token)

    @functools.cached_property
    def word_edges(self) -> NDArray[np.bool_]:
        """`[2 V]`: before which tokens a word has ended, and after which one may begin.

        Punctuation is no part of a word here: "hat" stands in "hat," and in "hat's", and not in
        "hats". (Where tokens are joined from both sides, it is supposed that the other does not.)
        """
        edges = np.ones((2, len(self)), dtype=bool)
        for token in range(len(SPECIAL_SYMBOLS), len(self)):
            text = self._join([token])
            if not self._is_blank(token):
                starts_word = self._starts_word([EOS, token], 1)
                edges[0, token] = starts_word or not is_word_character(text[:1])
                edges[1, token] = not is_word_character(text[-1:])
        return edges

    def _num_bytes(self, token: int) -> int:
        """Return the length of a token's text in UTF-8."""
        return len(self._join([token]).encode())

    def decode(self, ids: Sequence[int]) -> str:
        """Detokenized text on one line; PAD, BOS and EOS dropped, UNK as `UNKNOWN_TEXT`.

        Of the tokens of a text this is the normalised text, but for what is unknown.
        """
        return " ".join(self.split_words(ids).words)

    @abstractmethod
    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each token as a string to look at."""

    def fingerprint(self) -> str:
        """SHA-256 of everything that changes ids."""
        return self.saved().fingerprint()

    @classmethod
    @abstractmethod
    def restore(cls, normalizer: Normalizer, model: bytes, options: Options) -> Self:
        """Return the tokenizer that `_model` and `_options` were taken from.

        Raises:
            ValueError, KeyError, TypeError, RuntimeError: they were taken from none of this kind.
        """

    def __reduce__(self) -> tuple[object, ...]:
        return type(self).restore, (self.normalizer, self._model(), self._options())

    def saved(self) -> SavedTokenizer:
        """All that it is made of."""
        return SavedTokenizer(self.name, self.normalizer, self._options(), self._model())

    def _options(self) -> Options:
        """What matters besides the model."""
        return {}

    @abstractmethod
    def _model(self) -> bytes:
        """The content of the model file."""

    @abstractmethod
    def _encode_word(self, word: str) -> Sequence[int]:
        """The tokens, at least one, of a word that is not empty and has no blanks."""

    @abstractmethod
    def _starts_word(self, ids: Sequence[int], position: int) -> bool:
        """Whether there is a blank before a token that is not the first."""

    def _is_blank(self, token: int) -> bool:
        """Whether a token has no text of its own."""
        return token in (PAD, BOS, EOS)

    @abstractmethod
    def _join(self, ids: Sequence[int]) -> str:
        """The text, without blanks, of the tokens of one word."""


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
