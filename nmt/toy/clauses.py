"""The synchronous grammar, second half: verbs, clauses and sentences.

German has three orders of a clause (in a main clause the finite verb stands second or, in a
question, first; in a subordinate clause last), and its verb is a bracket: what is not finite stands
at the end. The comma that German has at either end of a subordinate clause, where English has none,
is aligned with the word that opens the clause (`that`, `because`, `who`).
"""

# What `english` and `german` do is said once, where they are declared; the class says the rest.
# ruff: noqa: D102

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import chain

from nmt.toy.entries import Auxiliary, Expression, Verb
from nmt.toy.lexicon import DO
from nmt.toy.morphology import Agreement, Case
from nmt.toy.phrases import Complement, Nominal, Phrase, Token, token, tokens

END_MARKS = (".", "!", "?")


class VerbGroup(ABC):
    """The verbs of a clause: what agrees with the subject, and what goes with it."""

    __slots__ = ()

    @abstractmethod
    def english(
        self, agreement: Agreement, *, with_auxiliary: bool
    ) -> tuple[list[Token], list[Token]]:
        """An auxiliary, which there must be with `not` and in a question, and what follows it."""

    @abstractmethod
    def german(self, agreement: Agreement) -> tuple[list[Token], list[Token]]:
        """The finite verb and the end of the bracket, as they stand in a main clause."""

    @abstractmethod
    def german_last(self, agreement: Agreement) -> list[Token]:
        """All of them together, as they end a subordinate clause."""


@dataclass(frozen=True, eq=False, slots=True)
class SimpleVerb(VerbGroup):
    """`picks up`, `does ... pick up`; `holt ... ab`, `abholt`."""

    verb: Verb

    def english(
        self, agreement: Agreement, *, with_auxiliary: bool
    ) -> tuple[list[Token], list[Token]]:
        forms = self.verb.english
        form = forms[0] if with_auxiliary else forms[agreement]
        auxiliary = [token(DO[agreement], self, "verb")] if with_auxiliary else []
        return auxiliary, tokens((form, *self.verb.particles), self, "verb")

    def german(self, agreement: Agreement) -> tuple[list[Token], list[Token]]:
        prefix = [token(self.verb.prefix, self, "verb")] if self.verb.prefix else []
        return [token(self.verb.german[agreement], self, "verb")], prefix

    def german_last(self, agreement: Agreement) -> list[Token]:
        return [token(self.verb.prefix + self.verb.german[agreement], self, "verb")]


@dataclass(frozen=True, eq=False, slots=True)
class CompoundVerb(VerbGroup):
    """An auxiliary and what goes with it: `has picked up`, `can pick up`, `is tired`."""

    auxiliary: Auxiliary
    english_rest: tuple[str, ...]
    german_rest: str

    def english(
        self, agreement: Agreement, *, with_auxiliary: bool
    ) -> tuple[list[Token], list[Token]]:
        auxiliary = token(self.auxiliary.english[agreement], self, "auxiliary")
        return [auxiliary], tokens(self.english_rest, self, "verb")

    def german(self, agreement: Agreement) -> tuple[list[Token], list[Token]]:
        finite = token(self.auxiliary.german[agreement], self, "auxiliary")
        return [finite], [token(self.german_rest, self, "verb")]

    def german_last(self, agreement: Agreement) -> list[Token]:
        finite, rest = self.german(agreement)
        return rest + finite


@dataclass(frozen=True, eq=False, slots=True)
class Clause:
    """A subject and what is said of it, in every order that the two languages have for it.

    An object or a place that has moved to the front of a relative clause is not a part of it.
    """

    subject: Nominal
    verb: VerbGroup
    complements: tuple[Complement, ...] = ()
    place: Complement | None = None
    adverb: Expression | None = None
    is_negated: bool = False
    content: "SubordinateClause | None" = None

    def english(self, *, is_question: bool = False) -> list[Token]:
        """`Tom has often chased Jerry`, `has Tom often chased Jerry`."""
        subject = self.subject.english(Case.NOMINATIVE)
        auxiliary, rest = self.verb.english(
            self.subject.agreement, with_auxiliary=is_question or self.is_negated
        )
        start = auxiliary + subject if is_question else subject + auxiliary
        if self.is_negated:
            start.append(token("not", self, "not"))
        if self.adverb:
            start += tokens(self.adverb.english, self, "adverb")
        ends = [*self.complements, *filter(None, [self.place, self.content])]
        return start + rest + [word for end in ends for word in end.english()]

    def german_first(self) -> list[Token]:
        """Order of a question, or of a main clause after what opens it: `jagt Tom Jerry oft`."""
        finite, end = self.verb.german(self.subject.agreement)
        return (
            finite + self._german_subject() + self._german_middle() + end + self._german_content()
        )

    def german_second(self) -> list[Token]:
        """Order of a main clause: `Tom holt Jerry ab`."""
        finite, end = self.verb.german(self.subject.agreement)
        return (
            self._german_subject() + finite + self._german_middle() + end + self._german_content()
        )

    def german_last(self) -> list[Token]:
        """Order of a subordinate clause: `Tom Jerry abholt`."""
        verbs = self.verb.german_last(self.subject.agreement)
        return self._german_subject() + self._german_middle() + verbs + self._german_content()

    def _german_subject(self) -> list[Token]:
        return self.subject.german(Case.NOMINATIVE)

    def _german_content(self) -> list[Token]:
        return self.content.german() if self.content else []

    def _german_middle(self) -> list[Token]:
        """Pronouns, adverb, objects, `nicht`, what has a preposition."""
        first, middle, last = [], [], []
        for complement in self.complements:
            if complement.preposition:
                last += complement.german()
            elif complement.nominal.comes_first:
                first += complement.german()
            else:
                middle += complement.german()
        if self.adverb:
            first += tokens(self.adverb.german, self, "adverb")
        if self.is_negated:
            middle.append(token("nicht", self, "not"))
        if self.place:
            last += self.place.german()
        return first + middle + last


@dataclass(frozen=True, eq=False, slots=True)
class RelativeClause(Phrase):
    """`who chases Jerry`, `in which Tom sleeps`: `opening` is the pronoun and its preposition.

    Where the pronoun is the subject of the clause, `moved` is nothing; else it is what moved to the
    front.
    """

    pronoun: Nominal
    clause: Clause
    moved: Complement | None = None

    def english(self) -> list[Token]:
        return (self.moved.english() if self.moved else []) + self.clause.english()

    def german(self) -> list[Token]:
        comma = token(",", self.pronoun, "noun")
        moved = self.moved.german() if self.moved else []
        return [comma, *moved, *self.clause.german_last(), comma]


@dataclass(frozen=True, eq=False, slots=True)
class SubordinateClause(Phrase):
    """`because Tom sleeps`, `that Tom sleeps`."""

    conjunction: Expression
    clause: Clause

    def english(self) -> list[Token]:
        return tokens(self.conjunction.english, self, "conjunction") + self.clause.english()

    def german(self) -> list[Token]:
        comma = token(",", self, "conjunction")
        conjunction = tokens(self.conjunction.german, self, "conjunction")
        return [comma, *conjunction, *self.clause.german_last(), comma]


@dataclass(frozen=True, eq=False, slots=True)
class OpeningWord(Phrase):
    """`today` at the front of a main clause."""

    word: Expression

    def english(self) -> list[Token]:
        return tokens(self.word.english, self, "adverb")

    def german(self) -> list[Token]:
        return tokens(self.word.german, self, "adverb")


@dataclass(frozen=True, eq=False, slots=True)
class OpeningClause(Phrase):
    """`because Tom sleeps ,` at the front of a main clause: both languages have the comma."""

    clause: SubordinateClause

    def english(self) -> list[Token]:
        return [*self.clause.english(), token(",", self, "comma")]

    def german(self) -> list[Token]:
        return [*self.clause.german()[1:], token(",", self, "comma")]


@dataclass(frozen=True, eq=False, slots=True)
class MainClause(Phrase):
    """A statement, with what opens it and what closes it."""

    clause: Clause
    opening: Phrase | None = None
    closing: SubordinateClause | None = None

    def english(self) -> list[Token]:
        opening = self.opening.english() if self.opening else []
        closing = self.closing.english() if self.closing else []
        return opening + self.clause.english() + closing

    def german(self) -> list[Token]:
        closing = self.closing.german() if self.closing else []
        if self.opening is None:
            return self.clause.german_second() + closing
        return self.opening.german() + self.clause.german_first() + closing


@dataclass(frozen=True, eq=False, slots=True)
class Question(Phrase):
    """`Does Tom sleep`, with yes or no for an answer."""

    clause: Clause

    def english(self) -> list[Token]:
        return self.clause.english(is_question=True)

    def german(self) -> list[Token]:
        return self.clause.german_first()


@dataclass(frozen=True, eq=False, slots=True)
class Coordination(Phrase):
    """`Tom sleeps , and Jerry sings`."""

    first: Phrase
    connective: Expression
    second: Phrase

    def english(self) -> list[Token]:
        return self.first.english() + self._join(self.connective.english) + self.second.english()

    def german(self) -> list[Token]:
        return self.first.german() + self._join(self.connective.german) + self.second.german()

    def _join(self, connective: tuple[str, ...]) -> list[Token]:
        return [token(",", self, "comma"), *tokens(connective, self, "connective")]


@dataclass(frozen=True, eq=False, slots=True)
class Sentence(Phrase):
    """Anything that ends with one of `END_MARKS`."""

    body: Phrase
    mark: str

    def english(self) -> list[Token]:
        return [*self.body.english(), token(self.mark, self, "mark")]

    def german(self) -> list[Token]:
        return merge_commas([*self.body.german(), token(self.mark, self, "mark")])


def merge_commas(words: list[Token]) -> list[Token]:
    """One comma where clauses end and begin together (the last, which English may have too).

    None is left before the mark that ends the sentence.
    """
    following = chain(words[1:], [None])
    return [
        word
        for word, after in zip(words, following, strict=True)
        if word.form != "," or (after is not None and after.form not in (",", *END_MARKS))
    ]
