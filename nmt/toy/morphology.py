"""How the words of the toy language change: tables of German endings and English a or an."""

from enum import IntEnum


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


DEFINITE = _table("der die das die", "den die das die", "dem der dem den")
RELATIVE: Declension = (*DEFINITE[:2], ("dem", "der", "dem", "denen"))
STRONG = _table("er e es e", "en e es e", "em er em en")
"""Endings of `dieser`, and of an adjective that no article stands before."""
POSSESSIVE = _table("- e - e", "en e - e", "em er em en")
"""Endings of `ein` and `mein`."""
WEAK = _table("e e e en", "en e e en", "en en en en")
"""Endings of an adjective after `der`, `dieser` and `jeder`."""
MIXED = _table("er e es en", "en e es en", "en en en en")
"""Endings of an adjective after `ein` and `mein`."""

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
