"""Entries of the lexicon of the toy language, and the parsers of its lines."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from nmt.toy.morphology import ENDINGS, Agreement, Case, Column, Declension, dative_plural, decline

# Forms of a verb by `Agreement`, or of a noun or pronoun by `Case`.
Forms = tuple[str, str, str]

_GENDERS = {"der": Column.MASCULINE, "die": Column.FEMININE, "das": Column.NEUTER}


class Noun(NamedTuple):
    """A noun; `english` and `german` hold the singular and the plural."""

    english: tuple[str, str]
    german: tuple[Forms, Forms]
    gender: Column
    is_person: bool


class Pronoun(NamedTuple):
    """A personal pronoun; `english` holds the subject and the object form."""

    english: tuple[str, str]
    german: Forms
    agreement: Agreement


class Adjective(NamedTuple):
    """An adjective; `german` is the form after `ist`."""

    english: str
    german: str

    @property
    def stem(self) -> str:
        """Return the stem that endings are added to."""
        return self.german.removesuffix("e")


class Determiner(NamedTuple):
    """A determiner; `adjective_endings` are the endings of adjectives after it."""

    english: str
    german: Declension
    adjective_endings: Declension


class Expression(NamedTuple):
    """An uninflected expression: an adverb or a conjunction."""

    english: tuple[str, ...]
    german: tuple[str, ...]


class Preposition(NamedTuple):
    """A preposition and the case that it governs in this grammar."""

    english: tuple[str, ...]
    german: str
    case: Case


class Kind(NamedTuple):
    """A class of nouns for one position in a sentence, and the adjectives that fit them."""

    nouns: tuple[Noun, ...]
    adjectives: tuple[Adjective, ...]
    is_animate: bool = False


class Slot(NamedTuple):
    """An object that a verb requires; a preposition, if there is one, governs `case`."""

    kind: Kind
    case: Case
    preposition: Preposition | None = None


@dataclass(frozen=True, slots=True)
class FiniteVerb:
    """The forms of a verb that agree with a subject.

    Attributes:
        english: the first form is also the infinitive.
        german: without the prefix; the last form is also the infinitive.
    """

    english: Forms
    german: Forms


@dataclass(frozen=True, slots=True)
class Verb(FiniteVerb):
    """A full verb.

    Attributes:
        english_participle: as in `has chased`.
        particles: the particle after the verb, if any: pick **up**.
        german_participle: as in `hat gejagt`, with the prefix.
        prefix: separable prefix, or empty: **ab** holen.
        perfect_with_sein: whether the perfect uses `sein`, as in `ist gelaufen`.
        slots: the objects, in the same order in both languages.
    """

    english_participle: str
    particles: tuple[str, ...]
    german_participle: str
    prefix: str
    perfect_with_sein: bool
    slots: tuple[Slot, ...]


def nouns(lines: Iterable[str], *, are_persons: bool) -> tuple[Noun, ...]:
    """Parse nouns from lines like ``boy boys | der Junge Jungen weak``.

    A weak noun has the form of its plural in all cases except the nominative singular.
    """
    entries = []
    for (singular, plural), (article, nominative, german_plural, *weak) in _split(lines):
        oblique = german_plural if weak else nominative
        german = (
            (nominative, oblique, oblique),
            (german_plural, german_plural, dative_plural(german_plural)),
        )
        entries.append(Noun((singular, plural), german, _GENDERS[article], are_persons))
    return tuple(entries)


def verbs(lines: Iterable[str], *slots: Slot) -> tuple[Verb, ...]:
    """Parse verbs from lines like ``pick picks picked up | hole holt holen abgeholt ab``.

    English: infinitive, third person, participle and, for some, a particle. German: first person,
    third person, infinitive, `ist` for some, participle and, for some, a separable prefix.
    """
    entries = []
    for (infinitive, third, participle, *particle), (first, second, last, *rest) in _split(lines):
        with_sein = rest[0] == "ist"
        german_participle, *prefix = rest[with_sein:]
        forms = (infinitive, third, infinitive), (first, second, last)
        english, german = (participle, tuple(particle)), (german_participle, "".join(prefix))
        entries.append(Verb(*forms, *english, *german, with_sein, slots))
    return tuple(entries)


def modals(lines: Iterable[str]) -> tuple[FiniteVerb, ...]:
    """Parse auxiliaries from lines of their forms, like ``can can can | kann kann können``."""
    return tuple(FiniteVerb((a, b, c), (d, e, f)) for (a, b, c), (d, e, f) in _split(lines))


def adjectives(lines: Iterable[str]) -> tuple[Adjective, ...]:
    """Parse adjectives from lines like ``tired müde``."""
    return tuple(Adjective(*line.split()) for line in lines)


def determiners(lines: Iterable[str]) -> tuple[Determiner, ...]:
    """Parse determiners from lines like ``my | mein possessive mixed``.

    German: stem, its endings, and the endings of an adjective after it, by their names in
    `ENDINGS`.
    """
    return tuple(
        Determiner(english, decline(stem, ENDINGS[own]), ENDINGS[of_adjectives])
        for (english,), (stem, own, of_adjectives) in _split(lines)
    )


def expressions(lines: Iterable[str]) -> tuple[Expression, ...]:
    """Parse adverbs or conjunctions from lines like ``as soon as | sobald``."""
    return tuple(Expression(tuple(english), tuple(german)) for english, german in _split(lines))


def prepositions(lines: Iterable[str], case: Case) -> tuple[Preposition, ...]:
    """Parse prepositions from lines like ``in front of | vor``."""
    return tuple(Preposition(tuple(english), german, case) for english, (german,) in _split(lines))


def _split(lines: Iterable[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the words of both languages."""
    for line in lines:
        english, german = line.split(" | ")
        yield english.split(), german.split()
