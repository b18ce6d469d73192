"""Random subjects, objects and places of about a given length."""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from nmt.toy import lexicon
from nmt.toy.entries import Adjective, Kind, Noun, Pronoun
from nmt.toy.phrases import Complement, Name, Nominal, NounPhrase, Pair, PersonalPronoun, Phrase

T = TypeVar("T")

LONGEST_NOMINAL = 14
LONGEST_SIMPLE_NOMINAL = 4  # the small old dog
SHORTEST_PLACE = 3  # in the garden


class Dice:
    """Random decisions, faster than with the standard library.

    Args:
        rng: the random generator.
    """

    def __init__(self, rng: random.Random) -> None:
        self._random = rng.random

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self._random() < probability

    def between(self, low: int, high: int) -> int:
        """Return a random integer, both ends included."""
        return low + int(self._random() * (high - low + 1))

    def choose(self, items: Sequence[T]) -> T:
        """Return a random item, all with the same probability."""
        return items[int(self._random() * len(items))]


class NominalSampler(ABC):
    """A random generator of nominals; requested numbers of English words are met approximately.

    Args:
        rng: the random generator.
    """

    def __init__(self, rng: random.Random) -> None:
        self._dice = Dice(rng)

    @abstractmethod
    def relative_clause(self, noun: Noun, is_plural: bool, kind: Kind, words: int) -> Phrase:
        """Return a relative clause on a noun, of 2 or more words (3 if it is inanimate)."""

    def nominal(
        self,
        words: int,
        kind: Kind,
        pronouns: Sequence[Pronoun] = (),
        *,
        is_simple: bool = False,
        is_definite: bool = False,
    ) -> Nominal:
        """Return a random subject or object.

        Args:
            words: at least 1.
            kind: of noun.
            pronouns: pronouns that may replace an animate noun.
            is_simple: without a modifier.
            is_definite: definite, so that `nicht` may come after it; only for animate nouns.
        """
        dice = self._dice
        if words == 1 and kind.is_animate and (is_definite or dice.chance(0.85)):
            if pronouns and dice.chance(0.45):
                return PersonalPronoun(dice.choose(pronouns))
            return Name(dice.choose(lexicon.NAMES))
        if 3 <= words <= 5 and kind.is_animate and not is_definite and dice.chance(0.15):
            return Pair(
                self.nominal((words - 1) // 2, kind, is_simple=True),
                self.nominal(words // 2, kind, is_simple=True),
            )
        return self._noun_phrase(min(words, LONGEST_NOMINAL), kind, is_simple, is_definite)

    def place(self, words: int) -> Complement:
        """Return a place, like `in front of the house`, of 3 or more words."""
        preposition = self._dice.choose(lexicon.PLACE_PREPOSITIONS)
        if len(preposition.english) > words - 2:
            preposition = lexicon.PLACE_PREPOSITIONS[0]
        nominal = self.nominal(words - len(preposition.english), lexicon.PLACES)
        return Complement(nominal, preposition.case, preposition)

    def _noun_phrase(
        self, words: int, kind: Kind, is_simple: bool, is_definite: bool
    ) -> NounPhrase:
        dice = self._dice
        noun = dice.choose(kind.nouns)
        is_plural = words == 1 or dice.chance(0.3)
        modifier: Phrase | None = None
        shortest_modifier = 2 if kind.is_animate else 3
        rest = words - shortest_modifier
        if not is_simple and rest >= 2 and (words > LONGEST_SIMPLE_NOMINAL or dice.chance(0.5)):
            core = dice.between(2, min(3, rest))
            modifier = self._modifier(noun, is_plural, kind, words - core)
            words = core
        words = min(words, LONGEST_SIMPLE_NOMINAL)
        determiner = None
        if words > 1 and (is_definite or not is_plural or dice.chance(0.75)):
            determiner = dice.choose(lexicon.DETERMINERS[is_plural][is_definite])
        num_adjectives = words - 1 - (determiner is not None)
        return NounPhrase(
            noun, is_plural, determiner, self._adjectives(kind, num_adjectives), modifier
        )

    def _modifier(self, noun: Noun, is_plural: bool, kind: Kind, words: int) -> Phrase:
        if words >= SHORTEST_PLACE and self._dice.chance(0.25):
            return self.place(words)
        return self.relative_clause(noun, is_plural, kind, words)

    def _adjectives(self, kind: Kind, count: int) -> tuple[Adjective, ...]:
        """Return `count` different adjectives, at most three."""
        chosen: list[Adjective] = []
        while len(chosen) < count:
            adjective = self._dice.choose(kind.adjectives)
            if adjective not in chosen:
                chosen.append(adjective)
        return tuple(chosen)
