"""The words of the toy language, by their positions in a sentence.

Words that a user may want to extend are in `lexicon.toml`; `nmt.toy.entries` describes its format.
"""

import tomllib
from importlib.resources import files
from typing import Any, Final

from nmt.toy import entries
from nmt.toy.entries import FiniteVerb, Kind, Pronoun, Slot
from nmt.toy.morphology import Agreement, Case

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
# `I` is repeated, because verb forms that agree with it would otherwise be rare.
SUBJECT_PRONOUNS = (_I, _I, _I, *PRONOUNS)

_DETERMINERS = {kind: entries.determiners(lines) for kind, lines in _WORDS["determiners"].items()}
_DEFINITE_SINGULAR = _DETERMINERS["definite_singular"]
_DEFINITE_PLURAL = _DETERMINERS["definite_plural"]
SINGULAR = _DEFINITE_SINGULAR + _DETERMINERS["singular"]
PLURAL = _DEFINITE_PLURAL + _DETERMINERS["plural"]
# Determiners by whether the noun is plural, and whether the phrase must be definite.
DETERMINERS = ((SINGULAR, _DEFINITE_SINGULAR), (PLURAL, _DEFINITE_PLURAL))

_ADJECTIVES = {kind: entries.adjectives(lines) for kind, lines in _WORDS["adjectives"].items()}
_NOUNS = {
    kind: entries.nouns(lines, are_persons=kind == "people")
    for kind, lines in _WORDS["nouns"].items()
}
_OF_LIVING = _ADJECTIVES["any"] + _ADJECTIVES["living"]
PEOPLE = Kind(_NOUNS["people"], _OF_LIVING, is_animate=True)
ANIMATE = Kind(_NOUNS["people"] + _NOUNS["animals"], _OF_LIVING, is_animate=True)
THINGS = Kind(_NOUNS["things"], _ADJECTIVES["any"] + _ADJECTIVES["thing"])
PLACES = Kind(_NOUNS["places"], _ADJECTIVES["any"] + _ADJECTIVES["place"])

_VERBS: Final[dict[str, list[str]]] = _WORDS["verbs"]
INTRANSITIVE = entries.verbs(_VERBS["intransitive"])
TRANSITIVE = entries.verbs(_VERBS["transitive"], Slot(ANIMATE, Case.ACCUSATIVE))
HANDLING = entries.verbs(_VERBS["handling"], Slot(THINGS, Case.ACCUSATIVE))
DATIVE = entries.verbs(_VERBS["dative"], Slot(ANIMATE, Case.DATIVE))
GIVING = entries.verbs(_VERBS["giving"], Slot(ANIMATE, Case.DATIVE), Slot(THINGS, Case.ACCUSATIVE))
SAYING = entries.verbs(_VERBS["saying"])
PREPOSITIONAL = tuple(
    verb
    for group in _WORDS["verbs_with_preposition"]
    for preposition in entries.prepositions([group["preposition"]], Case[group["case"]])
    for verb in entries.verbs(group["verbs"], Slot(ANIMATE, preposition.case, preposition))
)
MODALS = entries.modals(_VERBS["modal"])
BE = FiniteVerb(("am", "is", "are"), ("bin", "ist", "sind"))
_HAVE = ("have", "has", "have")
HAVE_WITH_HABEN = FiniteVerb(_HAVE, ("habe", "hat", "haben"))
HAVE_WITH_SEIN = FiniteVerb(_HAVE, BE.german)
DO = ("do", "does", "do")

PLACE_PREPOSITIONS = entries.prepositions(_WORDS["expressions"]["place_prepositions"], Case.DATIVE)
ADVERBS = entries.expressions(_WORDS["expressions"]["adverbs"])
OPENERS = entries.expressions(_WORDS["expressions"]["openers"])
CONJUNCTIONS = entries.expressions(_WORDS["expressions"]["conjunctions"])
CONNECTIVES = entries.expressions(_WORDS["expressions"]["connectives"])
(THAT,) = entries.expressions(["that | dass"])
