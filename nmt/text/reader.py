"""What turns an item of a corpus, a line of text or a grid, into the tokens that a model reads."""

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

Item = TypeVar("Item", bound=Sized)
"""A line of text, or a grid; its length is the memory that it takes: characters, or numbers."""
Tokens: TypeAlias = Sequence[int] | NDArray[np.float32]
"""S ids of a vocabulary; or S vectors, `[S D]`."""


@dataclass(frozen=True)
class EncodedWords:
    """An item as tokens and as words: what attention over tokens is merged by.

    Attributes:
        ids: the tokens.
        words: what stands between the blanks of the raw text; the cells of a grid.
        word_of_token: for each token, the index of the word that it is a part of; never falls, and
            leaves out no word.
    """

    ids: Tokens
    words: list[str]
    word_of_token: list[int]


class SourceReader(ABC, Generic[Item]):
    """Turns items into tokens; immutable, and can be pickled.

    Attributes:
        item_type: the type of an item.
        samples: whether `encode` draws from its `rng`.
    """

    item_type: ClassVar[type]
    samples: bool = False

    @abstractmethod
    def __len__(self) -> int:
        """V of a vocabulary, the special symbols counted; C of the channels of a grid."""

    @property
    @abstractmethod
    def token_dtype(self) -> np.dtype[Any]:
        """What one token is on disk; of vectors, an array type."""

    @abstractmethod
    def encode(self, item: Item, rng: random.Random | None = None) -> Tokens:
        """The tokens of an item, without BOS and EOS; none of a blank line.

        Args:
            item: any item.
            rng: draws one of several ways to encode it, where the reader samples; the same state
                gives the same tokens. None: the most probable way.

        Raises:
            DataError: the model cannot read the item; it can read any text.
        """

    @abstractmethod
    def encode_words(self, item: Item) -> EncodedWords:
        """The tokens of `encode` and the words that they belong to."""

    def split_units(self, sentence: EncodedWords, units: AlignmentUnits) -> UnitTokens:
        """Return the units of alignments, and the tokens in them; the cells of a grid are units.

        Args:
            sentence: from `encode_words`; its words may be replaced by what is written for them.
            units: what a unit is.
        """
        return one_to_one(sentence.words)

    def smallest_parts(self, sentence: EncodedWords) -> EncodedWords:
        """Return the sentence with the smallest units as its words that no token is a part of two.

        They are its words; in a script without spaces they are the characters of a token.
        """
        units = self.split_units(sentence, "auto")
        words, word_of_token = merge_units_that_share_tokens(units)
        return EncodedWords(sentence.ids, words, word_of_token)

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 of everything that changes tokens."""


def count_tokens(reader: SourceReader[Item], items: Iterable[Item]) -> tuple[int, int]:
    """How many tokens the items have, and how many of these the model was never taught."""
    num_tokens = num_unknown = 0
    for item in items:
        tokens = reader.encode(item)
        num_tokens += len(tokens)
        num_unknown += 0 if isinstance(tokens, np.ndarray) else list(tokens).count(UNK)
    return num_tokens, num_unknown
