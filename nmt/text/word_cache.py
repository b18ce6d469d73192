"""Words come again and again: remember what was computed for them, in bounded memory."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

T = TypeVar("T")

# Longer ones are rare, or text in a script without blanks, where each "word" is a new sentence.
_LONGEST: Final = 50


def remember_words(function: Callable[[str], T], most: int = 2**15) -> Callable[[str], T]:
    """The same function of a word, which must be pure, with the latest `most` words remembered."""
    remembered = lru_cache(most)(function)
    return lambda word: remembered(word) if len(word) <= _LONGEST else function(word)
