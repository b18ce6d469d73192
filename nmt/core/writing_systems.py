"""Writing systems: scripts without spaces between words, and punctuation.

The table follows Unicode Standard Annex 14: the scripts of Chinese and Japanese, the scripts of
line breaking class SA ("complex context"), and Tibetan, which marks syllables. Korean has spaces.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

JOINERS: Final = "\u200c\u200d"
"""Zero-width non-joiner and joiner, between letters of scripts such as Persian or Hindi."""
HAN: Final = "Han"
KANA: Final = frozenset({"Hiragana", "Katakana"})
SCRIPTS_WITHOUT_SPACES: Final[Mapping[str, str]] = {
    HAN: (
        "\u2e80-\u2fdf\u3005-\u3007\u3021-\u302d\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff"
        "\uf900-\ufaff\U00020000-\U0003fffd"
    ),
    "Hiragana": "\u3041-\u309f\U0001b001-\U0001b11f\U0001b132-\U0001b152",
    "Katakana": (
        "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f\U0001aff0-\U0001afff\U0001b000"
        "\U0001b120-\U0001b122\U0001b155-\U0001b167"
    ),
    "Bopomofo": "\u02ea\u02eb\u3105-\u312f\u31a0-\u31bf",
    "Thai": "\u0e01-\u0e3a\u0e40-\u0e4e\u0e50-\u0e59",
    "Lao": "\u0e81-\u0eff",
    "Khmer": "\u1780-\u17d3\u17d7\u17dc-\u17f9",
    "Burmese": "\u1000-\u1049\u104c-\u109f\ua9e0-\ua9fe\uaa60-\uaa76\uaa7a-\uaa7f",
    "Tibetan": "\u0f00\u0f18\u0f19\u0f20-\u0f39\u0f3e-\u0f84\u0f86-\u0fbc\u0fc6",
    "Tai Le": "\u1950-\u1974",
    "New Tai Lue": "\u1980-\u19da",
    "Tai Tham": "\u1a20-\u1a99\u1aa7",
    "Tai Viet": "\uaa80-\uaadd",
}
"""Name of a script -> its letters, marks and digits, as a class of a regular expression."""

_SCRIPTS: Final = {
    name: re.compile(f"[{characters}]") for name, characters in SCRIPTS_WITHOUT_SPACES.items()
}
_AFTER: Final = frozenset({"Sc", "So", *"+#%‰‱′″׳"})  # categories and marks that stay at the end
_ANY: Final = re.compile(f"[{''.join(SCRIPTS_WITHOUT_SPACES.values())}]")


def has_no_spaces(text: str) -> bool:
    """Return whether any character of a text belongs to a script without spaces."""
    return _ANY.search(text) is not None


def scripts_of(text: str) -> frozenset[str]:
    """Return the names of the scripts without spaces that occur in a text."""
    if not has_no_spaces(text):
        return frozenset()
    return frozenset(name for name, script in _SCRIPTS.items() if script.search(text))


def is_word_character(character: str) -> bool:
    """Return whether a character is a letter, a mark, a digit, a joiner, or a byte of one."""
    if character in (*JOINERS, "\N{REPLACEMENT CHARACTER}"):
        return True
    return character != "" and unicodedata.category(character)[0] in "LMN"


def is_punctuation(character: str) -> bool:
    """Return whether a character is punctuation or a symbol (Unicode categories P and S)."""
    return unicodedata.category(character)[0] in "PS"


def strip_punctuation(word: str) -> str:
    """Return a word without the punctuation and symbols around it; unchanged if it has no letters.

    Symbols that belong to the word are kept: signs of numbers (`-17`, `.5`, `$5`, `20°`, `50%`) and
    marks of names (`@nmt`, `#nmt`, `C++`, `C#`). Vowel signs are not punctuation.
    """
    inner = [place for place, character in enumerate(word) if not _is_strippable(character)]
    if not inner:
        return word
    first, last = inner[0], inner[-1] + 1
    signs = {"Sc"} if unicodedata.category(word[first])[0] != "N" else {"Sc", "Sm", "Pd"}
    marks = "@#." if len(signs) > 1 and ".." not in word[:first] else "@#"
    while first and (word[first - 1] in marks or unicodedata.category(word[first - 1]) in signs):
        first -= 1
    while word[last:] and (word[last] in _AFTER or unicodedata.category(word[last]) in _AFTER):
        last += 1
    return word[first:last]


def _is_strippable(character: str) -> bool:
    """Return whether a character is punctuation, a symbol, or invisible and not a joiner."""
    is_invisible = unicodedata.category(character) == "Cf" and character not in JOINERS
    return is_punctuation(character) or is_invisible
