"""Writing systems: scripts without spaces between words (`scripts.toml`), and punctuation."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

# Zero-width non-joiner and joiner, between letters of scripts such as Persian or Hindi.
JOINERS: Final = "\u200c\u200d"
HAN: Final = "Han"
KANA: Final = frozenset({"Hiragana", "Katakana"})
# Name of a script -> its letters, marks and digits, as a class of a regular expression.
SCRIPTS_WITHOUT_SPACES: Final[Mapping[str, str]] = tomllib.loads(
    files("nmt.core").joinpath("scripts.toml").read_text(encoding="utf-8")
)

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
