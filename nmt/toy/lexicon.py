"""The words of the toy language, by the places in a sentence that they can stand in.

Those that a user may want to add to stand in `lexicon.toml`; `nmt.toy.entries` says how they read.
"""

import tomllib
from importlib.resources import files
from typing import Any, Final

from nmt.toy.entries import (
    Determiner,
    FiniteVerb,
    Kind,
    Pronoun,
    Slot,
    adjectives,
    determiner,
    expressions,
    modals,
    nouns,
    numeral,
    prepositions,
    verbs,
)
from nmt.toy.morphology import DEFINITE, MIXED, POSSESSIVE, STRONG, WEAK, Agreement, Case

_WORDS: Final[dict[str, Any]] = tomllib.loads(
    files("nmt.toy").joinpath("lexicon.toml").read_text(encoding="utf-8")
)

NAMES: Final[tuple[str, ...]] = tuple(_WORDS["names"])
_I = Pronoun(("I", "me"), ("ich", "mich", "mir"), Agreement.FIRST_SINGULAR)
_FIRST_PERSON = (_I, Pronoun(("we", "us"), ("wir", "uns", "uns"), Agreement.PLURAL))
THIRD_PERSON_PRONOUNS = (
    Pronoun(("he", "him"), ("er", "ihn", "ihm"), Agreement.THIRD_SINGULAR),
    Pronoun(("she", "her"), ("sie", "sie", "ihr"), Agreement.THIRD_SINGULAR),
    Pronoun(("they", "them"), ("sie", "sie", "ihnen"), Agreement.PLURAL),
)
PRONOUNS = (*_FIRST_PERSON, *THIRD_PERSON_PRONOUNS)
SUBJECT_PRONOUNS = (_I, _I, _I, *PRONOUNS)
"""`I` more often: the forms that agree with it would be rare else."""

THE = Determiner("the", DEFINITE, WEAK)
_MY = determiner("my", "mein", POSSESSIVE, MIXED)
_OUR = determiner("our", "unser", POSSESSIVE, MIXED)
DEFINITE_SINGULAR = (THE, determiner("this", "dies", STRONG, WEAK), _MY, _OUR)
DEFINITE_PLURAL = (THE, determiner("these", "dies", STRONG, WEAK), _MY, _OUR)
A = determiner("a", "ein", POSSESSIVE, MIXED)
SINGULAR = (*DEFINITE_SINGULAR, A, A, determiner("every", "jed", STRONG, WEAK))
PLURAL = (*DEFINITE_PLURAL, numeral("two", "zwei"), numeral("three", "drei"))

_ADJECTIVES = {kind: adjectives(lines) for kind, lines in _WORDS["adjectives"].items()}
_NOUNS = {
    kind: nouns(lines, are_persons=kind == "people") for kind, lines in _WORDS["nouns"].items()
}
_OF_LIVING = _ADJECTIVES["any"] + _ADJECTIVES["living"]
PEOPLE = Kind(_NOUNS["people"], _OF_LIVING, is_animate=True)
ANIMATE = Kind(_NOUNS["people"] + _NOUNS["animals"], _OF_LIVING, is_animate=True)
THINGS = Kind(_NOUNS["things"], _ADJECTIVES["any"] + _ADJECTIVES["thing"])
PLACES = Kind(_NOUNS["places"], _ADJECTIVES["any"] + _ADJECTIVES["place"])

_VERBS: Final[dict[str, list[str]]] = _WORDS["verbs"]
INTRANSITIVE = verbs(_VERBS["intransitive"])
TRANSITIVE = verbs(_VERBS["transitive"], Slot(ANIMATE, Case.ACCUSATIVE))
HANDLING = verbs(_VERBS["handling"], Slot(THINGS, Case.ACCUSATIVE))
DATIVE = verbs(_VERBS["dative"], Slot(ANIMATE, Case.DATIVE))
GIVING = verbs(_VERBS["giving"], Slot(ANIMATE, Case.DATIVE), Slot(THINGS, Case.ACCUSATIVE))
SAYING = verbs(_VERBS["saying"])
PREPOSITIONAL = tuple(
    verb
    for group in _WORDS["verbs_with_preposition"]
    for preposition in prepositions([group["preposition"]], Case[group["case"]])
    for verb in verbs(group["verbs"], Slot(ANIMATE, preposition.case, preposition))
)
MODALS = modals(_VERBS["modal"])
BE = FiniteVerb(("am", "is", "are"), ("bin", "ist", "sind"))
_HAVE = ("have", "has", "have")
HAVE_WITH_HABEN = FiniteVerb(_HAVE, ("habe", "hat", "haben"))
HAVE_WITH_SEIN = FiniteVerb(_HAVE, BE.german)
DO = ("do", "does", "do")

PLACE_PREPOSITIONS = prepositions(_WORDS["expressions"]["place_prepositions"], Case.DATIVE)
ADVERBS = expressions(_WORDS["expressions"]["adverbs"])
OPENERS = expressions(_WORDS["expressions"]["openers"])
CONJUNCTIONS = expressions(_WORDS["expressions"]["conjunctions"])
CONNECTIVES = expressions(_WORDS["expressions"]["connectives"])
(THAT,) = expressions(["that | dass"])
