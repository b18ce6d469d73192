"""The synchronous grammar, first half: phrases around a noun.

A synchronous rule generates the same tree in two languages (Aho and Ullman 1969, "Syntax Directed
Translations and the Pushdown Assembler"). Here a rule is a class with a method for each language,
or a function that returns the words of both, and a tree is the result. Each word has a sense: the
tree node that it comes from, and its role in it. Words of the two languages that share a sense are
aligned.
"""

# `english` and `german` are documented in the base class; the class docstrings give examples.
# ruff: noqa: D102

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from nmt.toy import entries
from nmt.toy.morphology import (
    CONTRACTIONS,
    RELATIVE,
    STRONG,
    Agreement,
    Case,
    Column,
    indefinite_article,
)

# A node of the tree (nodes are compared by identity) and the role of a word in it.
Sense = tuple[object, str]


class Token(NamedTuple):
    """A word in a sentence with its senses; a contraction has more than one sense."""

    form: str
    senses: tuple[Sense, ...]


def token(form: str, node: object, part: str) -> Token:
    """Return a word with one sense."""
    return Token(form, ((node, part),))


def tokens(forms: tuple[str, ...], node: object, part: str) -> list[Token]:
    """Return words that share one sense."""
    senses = ((node, part),)
    return [Token(form, senses) for form in forms]


@dataclass(frozen=True, eq=False, slots=True)
class Words:
    """A part of a sentence whose form does not depend on its position."""

    english: list[Token]
    german: list[Token]


def english(*phrases: "Phrase | None") -> list[Token]:
    """Return the English words of the phrases that are not None."""
    return [word for phrase in phrases if phrase is not None for word in phrase.english]


def german(*phrases: "Phrase | None") -> list[Token]:
    """Return the German words of the phrases that are not None."""
    return [word for phrase in phrases if phrase is not None for word in phrase.german]


class Nominal(ABC):
    """A noun phrase that can be a subject or an object.

    Attributes:
        comes_first: whether German puts it before adverbs and other objects, like a pronoun.
    """

    __slots__ = ()
    comes_first: ClassVar[bool] = False

    @property
    def agreement(self) -> Agreement:
        """Return the agreement of a verb with it."""
        return Agreement.THIRD_SINGULAR

    @abstractmethod
    def english(self, case: Case) -> list[Token]:
        """Return the English words; `case` distinguishes subject and object."""

    @abstractmethod
    def german(self, case: Case) -> list[Token]:
        """Return the German words."""


@dataclass(frozen=True, eq=False, slots=True)
class Name(Nominal):
    """`Tom`: the same in both languages and in all cases."""

    name: str

    def english(self, case: Case) -> list[Token]:
        return [token(self.name, self, "noun")]

    german = english


@dataclass(frozen=True, eq=False, slots=True)
class PersonalPronoun(Nominal):
    """`she`, `him`."""

    comes_first: ClassVar[bool] = True
    entry: entries.Pronoun

    @property
    def agreement(self) -> Agreement:
        return self.entry.agreement

    def english(self, case: Case) -> list[Token]:
        return [token(self.entry.english[case != Case.NOMINATIVE], self, "noun")]

    def german(self, case: Case) -> list[Token]:
        return [token(self.entry.german[case], self, "noun")]


@dataclass(frozen=True, eq=False, slots=True)
class _NounOrItsPronoun(Nominal):
    noun: entries.Noun
    is_plural: bool

    @property
    def agreement(self) -> Agreement:
        return Agreement.PLURAL if self.is_plural else Agreement.THIRD_SINGULAR

    @property
    def column(self) -> Column:
        """Return the column of a German declension table."""
        return Column.PLURAL if self.is_plural else self.noun.gender


@dataclass(frozen=True, eq=False, slots=True)
class NounPhrase(_NounOrItsPronoun):
    """`the small dog in the garden`; only a plural may lack a determiner: `small dogs`."""

    determiner: entries.Determiner | None
    adjectives: tuple[entries.Adjective, ...] = ()
    modifier: "Phrase | None" = None

    def english(self, case: Case) -> list[Token]:
        adjectives = [adjective.english for adjective in self.adjectives]
        noun = self.noun.english[self.is_plural]
        article = self.determiner.english if self.determiner else None
        if article == "a":
            article = indefinite_article([*adjectives, noun][0])
        return self._tokens(article, adjectives, noun) + english(self.modifier)

    def german(self, case: Case) -> list[Token]:
        column, determiner = self.column, self.determiner
        article = determiner.german[case][column] if determiner else None
        endings = determiner.adjective_endings if determiner else STRONG
        adjectives = [adjective.stem + endings[case][column] for adjective in self.adjectives]
        noun = self.noun.german[self.is_plural][case]
        return self._tokens(article, adjectives, noun) + german(self.modifier)

    def _tokens(self, article: str | None, adjectives: list[str], noun: str) -> list[Token]:
        first = [] if article is None else [token(article, self, "determiner")]
        middle = [token(form, self, f"adjective {i}") for i, form in enumerate(adjectives)]
        return [*first, *middle, token(noun, self, "noun")]


@dataclass(frozen=True, eq=False, slots=True)
class Pair(Nominal):
    """`Tom and the dog`."""

    first: Nominal
    second: Nominal

    @property
    def agreement(self) -> Agreement:
        return Agreement.PLURAL

    def english(self, case: Case) -> list[Token]:
        return [*self.first.english(case), token("and", self, "and"), *self.second.english(case)]

    def german(self, case: Case) -> list[Token]:
        return [*self.first.german(case), token("und", self, "and"), *self.second.german(case)]


@dataclass(frozen=True, eq=False, slots=True)
class RelativePronoun(_NounOrItsPronoun):
    """`who`, `that`: refers to the preceding noun phrase with this noun."""

    follows_preposition: bool = False

    def english(self, case: Case) -> list[Token]:
        if self.noun.is_person:
            form = "who" if case == Case.NOMINATIVE else "whom"
        else:
            form = "which" if self.follows_preposition else "that"
        return [token(form, self, "noun")]

    def german(self, case: Case) -> list[Token]:
        return [token(RELATIVE[case][self.column], self, "noun")]


@dataclass(frozen=True, eq=False, slots=True)
class Complement:
    """A nominal in its case, with its preposition: `in front of the house`."""

    nominal: Nominal
    case: Case
    preposition: entries.Preposition | None = None

    @property
    def english(self) -> list[Token]:
        words = self.nominal.english(self.case)
        if self.preposition is None:
            return words
        return tokens(self.preposition.english, self, "preposition") + words

    @property
    def german(self) -> list[Token]:
        words = self.nominal.german(self.case)
        if self.preposition is None:
            return words
        first = token(self.preposition.german, self, "preposition")
        contracted = CONTRACTIONS.get((first.form, words[0].form))
        if contracted is None or words[0].senses[0][1] != "determiner":
            return [first, *words]
        return [Token(contracted, first.senses + words[0].senses), *words[1:]]


Phrase = Words | Complement
