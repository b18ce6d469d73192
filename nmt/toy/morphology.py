"""Inflection in the toy language: tables of German endings, and English a or an."""

from enum import IntEnum
from typing import Final


class Case(IntEnum):
    """The German cases of the toy language."""

    NOMINATIVE = 0
    ACCUSATIVE = 1
    DATIVE = 2


class Column(IntEnum):
    """The columns of a German declension table: three genders, and the plural for all of them."""

    MASCULINE = 0
    FEMININE = 1
    NEUTER = 2
    PLURAL = 3


class Agreement(IntEnum):
    """Agreement of a verb with its subject; indexes the forms of a verb in both languages."""

    FIRST_SINGULAR = 0
    THIRD_SINGULAR = 1
    PLURAL = 2


# Forms or endings: a row for each `Case`, a column for each `Column`.
Declension = tuple[tuple[str, ...], ...]


def _table(*rows: str) -> Declension:
    """Parse the rows of a table; a dash is an empty ending."""
    return tuple(tuple(row.replace("-", "").split(" ")) for row in rows)


STRONG = _table("er e es e", "en e es e", "em er em en")
# Endings of determiners, and of the adjectives after them, by the names in `lexicon.toml`.
ENDINGS: Final = {
    "definite": _table("er ie as ie", "en ie as ie", "em er em en"),  # `der`
    "strong": STRONG,  # `dieser`, and an adjective without an article
    "possessive": _table("- e - e", "en e - e", "em er em en"),  # `ein` and `mein`
    "weak": _table("e e e en", "en e e en", "en en en en"),  # an adjective after `der`, `dieser`
    "mixed": _table("er e es en", "en e es en", "en en en en"),  # after `ein` and `mein`
    "none": _table("- - - -", "- - - -", "- - - -"),  # numbers above one
}
RELATIVE = _table("der die das die", "den die das die", "dem der dem denen")

# Contractions of a preposition and a definite article (never a relative pronoun).
CONTRACTIONS = {("in", "dem"): "im", ("bei", "dem"): "beim", ("von", "dem"): "vom"}


def decline(stem: str, endings: Declension) -> Declension:
    """Return all forms of a stem."""
    return tuple(tuple(stem + ending for ending in row) for row in endings)


def dative_plural(plural: str) -> str:
    """Return the dative plural of a noun: plurals add -n, except those that end in -n or -s."""
    return plural if plural.endswith(("n", "s")) else plural + "n"


def indefinite_article(next_word: str) -> str:
    """Return `a` or `an` by the first letter, which is right for all words of the lexicon."""
    return "an" if next_word[0] in "aeiou" else "a"
