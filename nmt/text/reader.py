"""Source readers: from an item of a corpus (a line of text or a grid) to the model's tokens."""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmt.core.special_tokens import UNK
from nmt.text.unit_tokens import UnitTokens, merge_units_that_share_tokens, one_to_one
from nmt.word_alignment.units import AlignmentUnits

# A line of text, or a grid; its length measures its memory: characters, or numbers.
Item = TypeVar("Item", bound=Sized)
# S vocabulary ids; or S vectors, `[S D]`.
Tokens: TypeAlias = Sequence[int] | NDArray[np.float32]


@dataclass(frozen=True)
class EncodedWords:
    """An item as tokens and as words, to merge attention over tokens into attention over words.

    Attributes:
        ids: the tokens.
        words: blank-separated words of the raw text; the cells of a grid.
        word_of_token: for each token, the index of its word; non-decreasing, and includes every
            word.
    """

    ids: Tokens
    words: list[str]
    word_of_token: list[int]


class SourceReader(ABC, Generic[Item]):
    """Encoder of items as tokens; immutable, and can be pickled.

    Attributes:
        item_type: the type of an item.
        samples: whether `encode` draws from its `rng`.
    """

    item_type: ClassVar[type]
    samples: bool = False

    @abstractmethod
    def __len__(self) -> int:
        """Return V, the vocabulary size with special symbols, or C, the channels of a grid."""

    @property
    @abstractmethod
    def token_dtype(self) -> np.dtype[Any]:
        """Return the dtype of one token on disk; an array type for vectors."""

    @abstractmethod
    def encode(self, item: Item, rng: random.Random | None = None) -> Tokens:
        """Return the tokens of an item, without BOS and EOS; a blank line has no tokens.

        Args:
            item: any item.
            rng: if the reader samples, draws one of the possible encodings; the same state gives
                the same tokens. None: the most probable encoding.

        Raises:
            DataError: the model cannot read the item; never raised for text.
        """

    @abstractmethod
    def encode_words(self, item: Item) -> EncodedWords:
        """Return the tokens of `encode` and the words that they belong to."""

    def split_units(self, sentence: EncodedWords, units: AlignmentUnits) -> UnitTokens:
        """Return the alignment units and their tokens; the cells of a grid are units.

        Args:
            sentence: from `encode_words`; its words may be replaced by their output text.
            units: kind of units.
        """
        return one_to_one(sentence.words)

    def smallest_parts(self, sentence: EncodedWords) -> EncodedWords:
        """Return the sentence split into the smallest units, such that no token spans two units.

        The units are words; in a script without spaces, they are the characters of a token.
        """
        units = self.split_units(sentence, "auto")
        words, word_of_token = merge_units_that_share_tokens(units)
        return EncodedWords(sentence.ids, words, word_of_token)

    @abstractmethod
    def fingerprint(self) -> str:
        """Return the SHA-256 of everything that affects tokens."""


def count_tokens(reader: SourceReader[Item], items: Iterable[Item]) -> tuple[int, int]:
    """Return the number of tokens in the items, and how many of them are unknown (UNK)."""
    num_tokens = num_unknown = 0
    for item in items:
        tokens = reader.encode(item)
        num_tokens += len(tokens)
        num_unknown += 0 if isinstance(tokens, np.ndarray) else list(tokens).count(UNK)
    return num_tokens, num_unknown
