"""How the words of the toy language change: tables of German endings and English a or an."""

from enum import IntEnum
from typing import Final


class Case(IntEnum):
    """The German cases that are used."""

    NOMINATIVE = 0
    ACCUSATIVE = 1
    DATIVE = 2


class Column(IntEnum):
    """The columns of a German declension table: three genders, which the plural levels."""

    MASCULINE = 0
    FEMININE = 1
    NEUTER = 2
    PLURAL = 3


class Agreement(IntEnum):
    """How a verb agrees with its subject; indexes the forms of a verb in both languages."""

    FIRST_SINGULAR = 0
    THIRD_SINGULAR = 1
    PLURAL = 2


Declension = tuple[tuple[str, ...], ...]
"""Forms or endings: a row for each `Case`, a column for each `Column`."""


def _table(*rows: str) -> Declension:
    """Read the rows; a dash is no ending."""
    return tuple(tuple(row.replace("-", "").split(" ")) for row in rows)


STRONG = _table("er e es e", "en e es e", "em er em en")
ENDINGS: Final = {
    "definite": _table("er ie as ie", "en ie as ie", "em er em en"),  # of `der`
    "strong": STRONG,  # of `dieser`, and of an adjective that no article stands before
    "possessive": _table("- e - e", "en e - e", "em er em en"),  # of `ein` and `mein`
    "weak": _table("e e e en", "en e e en", "en en en en"),  # of an adjective after `der`, `dieser`
    "mixed": _table("er e es en", "en e es en", "en en en en"),  # after `ein` and `mein`
    "none": _table("- - - -", "- - - -", "- - - -"),  # of a number above one
}
"""Endings of determiners, and of the adjectives after them, by the names in `lexicon.toml`."""
RELATIVE = _table("der die das die", "den die das die", "dem der dem denen")

CONTRACTIONS = {("in", "dem"): "im", ("bei", "dem"): "beim", ("von", "dem"): "vom"}
"""A preposition and a definite article (never a relative pronoun) that are one word."""


def decline(stem: str, endings: Declension) -> Declension:
    """All forms of a stem."""
    return tuple(tuple(stem + ending for ending in row) for row in endings)


def dative_plural(plural: str) -> str:
    """German nouns add -n in the dative plural, but for those that end in -n or -s."""
    return plural if plural.endswith(("n", "s")) else plural + "n"


def indefinite_article(next_word: str) -> str:
    """`a` or `an`; the lexicon has no word whose first letter misleads."""
    return "an" if next_word[0] in "aeiou" else "a"
