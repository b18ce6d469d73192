"""Base classes of tokenizers and their trainers, and the saved form of a tokenizer."""

import hashlib
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Final, Self

import numpy as np

from nmt.core.special_tokens import SPECIAL_SYMBOLS, UNK
from nmt.system.plugins import reference_of
from nmt.text.normalization import Normalizer
from nmt.text.reader import EncodedWords, SourceReader
from nmt.text.unit_tokens import UnitTokens, one_to_one, split_sentence
from nmt.word_alignment.units import AlignmentUnits

FORMAT_VERSION: Final = 1
# Text of an unknown token in decoded text (U+2047, as in SentencePiece).
UNKNOWN_TEXT: Final = "⁇"
_TEXTS_OF_SPECIALS: Final = (b"", UNKNOWN_TEXT.encode(), b"", b"")  # of PAD, UNK, BOS and EOS


@dataclass(frozen=True)
class SavedTokenizer:
    """The saved form of a tokenizer.

    Attributes:
        name: its name in the table of tokenizers.
        normalizer: normalises text first.
        options: options that affect tokens and are not part of the model.
        model: content of the model file.
        plugin: reference of its class, if that is from outside the package.
    """

    name: str
    normalizer: Normalizer
    options: Mapping[str, str | int | float]
    model: bytes
    plugin: str | None = None

    def fingerprint(self) -> str:
        """Return the SHA-256 of `describe`."""
        content = json.dumps(self.describe(), sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the SHA-256 in place of the model."""
        plugin = {} if self.plugin is None else {"plugin": self.plugin}
        return {
            "format": FORMAT_VERSION,
            "name": self.name,
            "normalizer": asdict(self.normalizer),
            "options": dict(self.options),
            "model_sha256": hashlib.sha256(self.model).hexdigest(),
            **plugin,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any], model: bytes) -> Self:
        """Return the saved form from the result of `describe` and the model file.

        Raises:
            ValueError, KeyError, TypeError: the description is invalid.
        """
        name, options = description["name"], description["options"]
        plugin = description.get("plugin")
        known = isinstance(name, str) and isinstance(options, dict)
        if not known or not isinstance(plugin, str | None):
            raise TypeError("its name or options have the wrong type")
        return cls(name, Normalizer(**description["normalizer"]), options, model, plugin)


class Tokenizer(SourceReader[str]):
    """Conversion between text and tokens; immutable, and pickled in its saved form.

    A blank-separated word has the same encoding in every context, so each token belongs to one
    word. The vocabulary starts with the four special symbols; text is never encoded as PAD, BOS or
    EOS.

    Args:
        normalizer: normalises text first.
        pieces: printable string of each token.
        texts: UTF-8 text of each token, without blanks; may be part of a character. The entries of
            the special symbols are ignored.

    Attributes:
        name: its name in the table of tokenizers.
        model_file: name of the model file.
        between_words: tokens inserted between two words.
    """

    item_type: ClassVar[type] = str
    name: ClassVar[str]
    model_file: ClassVar[str]
    between_words: tuple[int, ...] = ()

    def __init__(
        self, normalizer: Normalizer, pieces: Sequence[str], texts: Sequence[bytes]
    ) -> None:
        self.normalizer = normalizer
        self._pieces = pieces
        self._texts = [*_TEXTS_OF_SPECIALS, *texts[len(SPECIAL_SYMBOLS) :]]

    def __len__(self) -> int:
        return len(self._pieces)

    @abstractmethod
    def encode_word(self, word: str) -> Sequence[int]:
        """Return at least one token for a word, which is not empty and has no blanks."""

    def sample_word(self, word: str, rng: random.Random) -> Sequence[int]:
        """Return a random encoding of the word, if the tokenizer supports sampling."""
        return self.encode_word(word)

    def starts_word(self, before: int, token: int) -> bool:
        """Return whether there is a blank between two consecutive tokens; by default, always."""
        return True

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return each token as a printable string."""
        return [self._pieces[token] for token in ids]

    @abstractmethod
    def saved(self) -> SavedTokenizer:
        """Return the saved form of the tokenizer."""

    def saved_with_class(self) -> SavedTokenizer:
        """Return the saved form, with the class if it is from outside the package."""
        is_ours = type(self).__module__.startswith("nmt.")
        return self.saved() if is_ours else replace(self.saved(), plugin=reference_of(type(self)))

    @classmethod
    @abstractmethod
    def restore(cls, saved: SavedTokenizer) -> Self:
        """Return the tokenizer that `saved` describes.

        Raises:
            ValueError, KeyError, TypeError, RuntimeError: `saved` is of another kind, or corrupted.
        """

    def encode(self, text: str, rng: random.Random | None = None) -> list[int]:
        """Normalise a text and return its tokens, without BOS and EOS."""
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
        """Return detokenized text on one line, without PAD, BOS and EOS, UNK as `UNKNOWN_TEXT`.

        Decoding the tokens of a text returns the normalised text, except for unknown tokens.
        """
        return " ".join(self.decode_words(ids).words)

    def decode_words(self, ids: Sequence[int]) -> EncodedWords:
        """Return the words of any sequence of tokens, such as the output of a model.

        Tokens without text (PAD, BOS, EOS, an extra blank) belong to a neighbouring word. If no
        token has text, there is one empty word.
        """
        groups: list[list[int]] = []
        has_text = True
        for position, token in enumerate(ids):
            if not groups or (has_text and self.starts_word(ids[position - 1], token)):
                groups.append([])
                has_text = False
            groups[-1].append(token)
            has_text = has_text or bool(self._texts[token])
        words: list[str] = []
        word_of_token: list[int] = []
        for group in groups:
            word = self.join(group)
            if words and not (word and words[-1]):  # only blanks, which byte tokens can spell too
                words[-1] += word
            else:
                words.append(word)
            word_of_token += [len(words) - 1] * len(group)
        return EncodedWords(list(ids), words, word_of_token)

    def join(self, ids: Sequence[int]) -> str:
        """Return the text, without blanks, of the tokens of one word."""
        return b"".join([self._texts[token] for token in ids]).decode(errors="replace")

    def split_units(self, sentence: EncodedWords, units: AlignmentUnits) -> UnitTokens:
        """See `SourceReader.split_units`."""
        ids = [int(token) for token in sentence.ids]
        if units == "pieces":
            return one_to_one(self.pieces(ids), "pieces")
        return split_sentence(
            sentence.words,
            sentence.word_of_token,
            units,
            lambda: [None if token == UNK else len(self._texts[token]) for token in ids],
            lambda text: len("".join(self.normalizer.words(text)).encode()),
        )

    @property
    def token_dtype(self) -> np.dtype[Any]:
        """Return the smallest unsigned dtype that holds every id."""
        return np.dtype("<u2" if len(self) <= 2**16 else "<u4")

    def fingerprint(self) -> str:
        """Return the SHA-256 of everything that affects ids."""
        return self.saved().fingerprint()

    def __reduce__(self) -> tuple[object, ...]:
        return type(self).restore, (self.saved(),)


@dataclass(frozen=True)
class TokenizerTrainer(ABC):
    """Base class of tokenizer trainers; their keyword-only arguments are the options.

    Args:
        normalizer: normalises text before it is tokenized.

    Attributes:
        tokenizer: class of the tokenizers that it trains.
    """

    tokenizer: ClassVar[type[Tokenizer]]

    normalizer: Normalizer

    @abstractmethod
    def train(self, lines: Callable[[], Iterator[str]]) -> Tokenizer:
        """Train a tokenizer on text; the same text and options give the same tokenizer.

        Args:
            lines: returns the raw lines of the text; may be called several times.

        Raises:
            DataError: no tokenizer can be trained on the text.
            ConfigError: the options do not suit the text.
        """
