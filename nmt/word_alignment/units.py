"""Units of word alignments: what the links of a sentence pair are counted in."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from nmt.core.writing_systems import has_no_spaces, is_punctuation

AlignmentUnits = Literal["auto", "words", "characters", "pieces"]

ActualUnits = Literal["words", "characters", "words and characters", "pieces"]
"""What "auto" and the others come to for a pair of sentences."""

DESCRIPTIONS: Final[Mapping[ActualUnits, str]] = {
    "words": "words",
    "characters": "characters",
    "words and characters": "words and characters",
    "pieces": "pieces of the tokenizer",
}

# What continues a character as people see it, besides marks: joiners, vowels of Korean syllables,
# Thai and Lao am, halfwidth voicing, skin tones.
_CONTINUING: Final = frozenset(
    "\u200c\u200d\u0e33\u0eb3\uff9e\uff9f"
    + "".join(map(chr, range(0x1160, 0x1200)))
    + "".join(map(chr, range(0x1F3FB, 0x1F400)))
)


def split_text(text: str, units: AlignmentUnits) -> list[str]:
    """Return the units of a text: its words, or the characters of these.

    A word is what stands between spaces. With "auto", a word that has characters of a script
    without spaces is split into these (with the marks that belong to them), wide punctuation, and
    what stands between: "用Python。" is 用, Python and 。

    Args:
        text: raw text.
        units: all but "pieces", which a tokenizer decides on.
    """
    assert units != "pieces", "pieces are known to the tokenizer only"
    words = text.split()
    if units == "words" or (units == "auto" and not has_no_spaces(text)):
        return words
    return [unit for word in words for unit in _split_word(word, every=units == "characters")]


def find_units(parts: Sequence[Sequence[str]]) -> ActualUnits | None:
    """Return what the units are that "auto" has split words into; None: there are none.

    Args:
        parts: the units of each word.
    """
    if not any(parts):
        return None
    if all(len(units) <= 1 for units in parts):
        return "words"
    are_characters = all(
        len(_split_word(unit, every=True)) == 1 for units in parts for unit in units
    )
    return "characters" if are_characters else "words and characters"


def _split_word(word: str, *, every: bool) -> list[str]:
    if not every and not has_no_spaces(word):
        return [word]
    units: list[str] = []
    in_run = False  # the last unit takes in what follows
    for character in word:
        is_unit = every or has_no_spaces(character) or _is_wide_punctuation(character)
        continues = _continues(character) or (in_run and not is_unit)
        if units and (continues or units[-1].endswith("\u200d")):
            units[-1] += character
        else:
            units.append(character)
            in_run = not is_unit
    return units


def _continues(character: str) -> bool:
    return unicodedata.category(character)[0] == "M" or character in _CONTINUING


def _is_wide_punctuation(character: str) -> bool:
    return is_punctuation(character) and unicodedata.east_asian_width(character) in "WF"
