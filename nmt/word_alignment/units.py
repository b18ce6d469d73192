"""Units of word alignments: words, characters or pieces that links connect."""

import unicodedata
from collections.abc import Sequence
from typing import Final, Literal

from nmt.core.writing_systems import has_no_spaces, is_punctuation

AlignmentUnits = Literal["auto", "words", "characters", "pieces"]

# The actual units of a sentence pair, after "auto" has been resolved.
ActualUnits = Literal["words", "characters", "words and characters", "pieces"]

# Code points besides marks that continue a grapheme: joiners, vowels of Korean syllables, Thai and
# Lao am, halfwidth voicing, skin tones.
_CONTINUING: Final = frozenset(
    "\u200c\u200d\u0e33\u0eb3\uff9e\uff9f"
    + "".join(map(chr, range(0x1160, 0x1200)))
    + "".join(map(chr, range(0x1F3FB, 0x1F400)))
)


def split_text(text: str, units: AlignmentUnits) -> list[str]:
    """Return the units of a text: its words, or their characters.

    Words are separated by spaces. "auto" splits words that contain characters of a script without
    spaces. Each such character (with its marks), each wide punctuation mark, and each run between
    them is a unit: "用Python。" is 用, Python and 。

    Args:
        text: raw text.
        units: any unit except "pieces", which depends on the tokenizer.
    """
    assert units != "pieces", "only the tokenizer knows its pieces"
    words = text.split()
    if units == "words" or (units == "auto" and not has_no_spaces(text)):
        return words
    return [unit for word in words for unit in _split_word(word, every=units == "characters")]


def find_units(parts: Sequence[Sequence[str]]) -> ActualUnits | None:
    """Return the kind of units that "auto" has split words into; None: there are no units.

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
    in_run = False  # whether the last unit is a run that the next character may extend
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
