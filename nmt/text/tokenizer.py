"""What all tokenizers share: words and their tokens, and the form to be saved in."""

import hashlib
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final, Self

import numpy as np

from nmt.core.special_tokens import SPECIAL_SYMBOLS, UNK
from nmt.text.normalization import Normalizer
from nmt.text.reader import EncodedWords, SourceReader
from nmt.text.unit_tokens import UnitTokens, one_to_one, split_sentence
from nmt.word_alignment.units import AlignmentUnits

FORMAT_VERSION: Final = 1
UNKNOWN_TEXT: Final = "⁇"
"""How an unknown token reads in decoded text (U+2047, as in SentencePiece)."""
_TEXTS_OF_SPECIALS: Final = (b"", UNKNOWN_TEXT.encode(), b"", b"")  # of PAD, UNK, BOS and EOS


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
    options: Mapping[str, str | int | float]
    model: bytes

    def fingerprint(self) -> str:
        """SHA-256 of all of it."""
        content = json.dumps(self.describe(), sort_keys=True).encode()
        return hashlib.sha256(content).hexdigest()

    def describe(self) -> dict[str, Any]:
        """All of it for JSON; of the model, the checksum."""
        return {
            "format": FORMAT_VERSION,
            "name": self.name,
            "normalizer": asdict(self.normalizer),
            "options": dict(self.options),
            "model_sha256": hashlib.sha256(self.model).hexdigest(),
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
        pieces: of each token, a string to look at.
        texts: of each token, the UTF-8 that it writes, without blanks; it may be a part of a
            character. Those of the special symbols are the same in all tokenizers.
        starts: of each token, whether a word may start with it; None: with all.
        ends: of each token, whether a word may end with it; None: with all.

    Attributes:
        name: its name in the table of tokenizers.
        model_file: the name of the file that holds its model.
        between_words: tokens between the tokens of two words.
    """

    item_type: ClassVar[type] = str
    name: ClassVar[str]
    model_file: ClassVar[str]
    between_words: tuple[int, ...] = ()

    def __init__(
        self,
        normalizer: Normalizer,
        pieces: Sequence[str],
        texts: Sequence[bytes],
        starts: Sequence[bool] | None = None,
        ends: Sequence[bool] | None = None,
    ) -> None:
        self.normalizer = normalizer
        self._pieces = pieces
        self._texts = [*_TEXTS_OF_SPECIALS, *texts[len(SPECIAL_SYMBOLS) :]]
        self._starts = [True] * len(pieces) if starts is None else starts
        self._ends = [True] * len(pieces) if ends is None else ends

    def __len__(self) -> int:
        return len(self._pieces)

    @abstractmethod
    def encode_word(self, word: str) -> Sequence[int]:
        """The tokens, at least one, of a word that is not empty and has no blanks."""

    def sample_word(self, word: str, rng: random.Random) -> Sequence[int]:
        """Tokens of the word at random, where the tokenizer has several ways to encode it."""
        return self.encode_word(word)

    def starts_word(self, before: int, token: int) -> bool:
        """Whether there is a blank between two tokens that follow each other."""
        return self._ends[before] and self._starts[token]

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each token as a string to look at."""
        return [self._pieces[token] for token in ids]

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

        Tokens without text (PAD, BOS, EOS, a blank too many) go with a word next to them; where no
        token has text there is one word, which is empty.
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
            if words and not (word and words[-1]):  # blanks, which several bytes can write too
                words[-1] += word
            else:
                words.append(word)
            word_of_token += [len(words) - 1] * len(group)
        return EncodedWords(list(ids), words, word_of_token)

    def join(self, ids: Sequence[int]) -> str:
        """The text, without blanks, of the tokens of one word."""
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
        """The smallest unsigned type that holds every id."""
        return np.dtype("<u2" if len(self) <= 2**16 else "<u4")

    def fingerprint(self) -> str:
        """SHA-256 of everything that changes ids."""
        return self.saved().fingerprint()

    def __reduce__(self) -> tuple[object, ...]:
        return type(self).restore, (self.saved(),)


@dataclass(frozen=True)
class TokenizerTrainer(ABC):
    """Makes a tokenizer from text; the keyword-only arguments of a trainer are its options.

    Args:
        normalizer: what the tokenizer is to do to text first.

    Attributes:
        tokenizer: what it makes.
    """

    tokenizer: ClassVar[type[Tokenizer]]

    normalizer: Normalizer

    @abstractmethod
    def train(self, lines: Callable[[], Iterator[str]]) -> Tokenizer:
        """A tokenizer for this text: the same one for the same text and options.

        Args:
            lines: gives the lines of the text, raw; called as often as needed.

        Raises:
            DataError: no tokenizer can be made of the text.
            ConfigError: the options do not suit the text.
        """
