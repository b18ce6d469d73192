"""What the lexicon of the toy language is made of, and how its lines are read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nmt.toy.morphology import ENDINGS, Agreement, Case, Column, Declension, dative_plural, decline

Forms = tuple[str, str, str]
"""Of a verb by `Agreement`; of a noun or a pronoun by `Case`."""

_GENDERS = {"der": Column.MASCULINE, "die": Column.FEMININE, "das": Column.NEUTER}


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun; `english` and `german` have the singular and the plural."""

    english: tuple[str, str]
    german: tuple[Forms, Forms]
    gender: Column
    is_person: bool


@dataclass(frozen=True, slots=True)
class Pronoun:
    """A personal pronoun; `english` has subject and object."""

    english: tuple[str, str]
    german: Forms
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Adjective:
    """An adjective; `german` is the form after `ist`."""

    english: str
    german: str

    @property
    def stem(self) -> str:
        """What takes the endings."""
        return self.german.removesuffix("e")


@dataclass(frozen=True, slots=True)
class Determiner:
    """What a noun phrase starts with; `adjective_endings` are those of adjectives after it."""

    english: str
    german: Declension
    adjective_endings: Declension


@dataclass(frozen=True, slots=True)
class Expression:
    """Words that never change: an adverb or a conjunction."""

    english: tuple[str, ...]
    german: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preposition:
    """A preposition and the case that it governs here."""

    english: tuple[str, ...]
    german: str
    case: Case


@dataclass(frozen=True, slots=True)
class Kind:
    """The nouns that can stand in one place of a sentence, and the adjectives that fit them."""

    nouns: tuple[Noun, ...]
    adjectives: tuple[Adjective, ...]
    is_animate: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """An object that a verb asks for; `case` is that of the preposition, if there is one."""

    kind: Kind
    case: Case
    preposition: Preposition | None = None


@dataclass(frozen=True, slots=True)
class FiniteVerb:
    """The forms of a verb that agree with a subject.

    Attributes:
        english: the first is the infinitive too.
        german: without the prefix; the last is the infinitive too.
    """

    english: Forms
    german: Forms


@dataclass(frozen=True, slots=True)
class Verb(FiniteVerb):
    """A verb that needs no auxiliary.

    Attributes:
        english_participle: as in `has chased`.
        particles: the word after the verb, if there is one: pick **up**.
        german_participle: as in `hat gejagt`, with the prefix.
        prefix: separable prefix, or nothing: **ab** holen.
        perfect_with_sein: as in `ist gelaufen`.
        slots: the objects, in the order that both languages have.
    """

    english_participle: str
    particles: tuple[str, ...]
    german_participle: str
    prefix: str
    perfect_with_sein: bool
    slots: tuple[Slot, ...]


def nouns(lines: Iterable[str], *, are_persons: bool) -> tuple[Noun, ...]:
    """Nouns from lines like ``boy boys | der Junge Jungen weak``.

    A weak noun ends as in its plural everywhere but in the nominative singular.
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
    """Verbs from lines like ``pick picks picked up | hole holt holen abgeholt ab``.

    English: infinitive, third person, participle and, for some, a particle. German: first person,
    third person, infinitive, `ist` for some, participle and, for some, a separable prefix.
    """
    entries = []
    for (infinitive, third, participle, *particle), (first, second, last, *rest) in _split(lines):
        with_sein = rest[0] == "ist"
        german_participle, *prefix = rest[with_sein:]
        entries.append(
            Verb(
                (infinitive, third, infinitive),
                (first, second, last),
                participle,
                tuple(particle),
                german_participle,
                "".join(prefix),
                with_sein,
                slots,
            )
        )
    return tuple(entries)


def modals(lines: Iterable[str]) -> tuple[FiniteVerb, ...]:
    """Auxiliaries from lines of their forms, like ``can can can | kann kann können``."""
    return tuple(FiniteVerb((a, b, c), (d, e, f)) for (a, b, c), (d, e, f) in _split(lines))


def adjectives(lines: Iterable[str]) -> tuple[Adjective, ...]:
    """Adjectives from lines like ``tired müde``."""
    return tuple(Adjective(*line.split()) for line in lines)


def determiners(lines: Iterable[str]) -> tuple[Determiner, ...]:
    """Determiners from lines like ``my | mein possessive mixed``.

    German: stem, its endings, and those of an adjective after it; both by their names in `ENDINGS`.
    """
    return tuple(
        Determiner(english, decline(stem, ENDINGS[own]), ENDINGS[of_adjectives])
        for (english,), (stem, own, of_adjectives) in _split(lines)
    )


def expressions(lines: Iterable[str]) -> tuple[Expression, ...]:
    """Adverbs or conjunctions from lines like ``as soon as | sobald``."""
    return tuple(Expression(tuple(english), tuple(german)) for english, german in _split(lines))


def prepositions(lines: Iterable[str], case: Case) -> tuple[Preposition, ...]:
    """Prepositions from lines like ``in front of | vor``."""
    return tuple(Preposition(tuple(english), german, case) for english, (german,) in _split(lines))


def _split(lines: Iterable[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the words of both languages."""
    for line in lines:
        english, german = line.split(" | ")
        yield english.split(), german.split()
