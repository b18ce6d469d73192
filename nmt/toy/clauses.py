"""The synchronous grammar, second half: verbs, clauses and sentences.

A German clause has three word orders. The finite verb comes second in a main clause, first in a
question, and last in a subordinate clause. The verb is a bracket: its other parts come at the end.
German puts a comma at both ends of a subordinate clause where English has none. These commas are
aligned with the word that opens the clause (`that`, `because`, `who`).
"""

# `english` and `german` are documented in the base class; the class docstrings give examples.

from dataclasses import dataclass
from itertools import chain
from typing import Literal, Self

from nmt.toy.entries import Expression, FiniteVerb, Verb
from nmt.toy.lexicon import DO
from nmt.toy.morphology import Agreement, Case
from nmt.toy.phrases import Complement, Nominal, Token, Words, english, german, token, tokens

END_MARKS = (".", "!", "?")
# Where German puts the finite verb of a clause.
VerbPosition = Literal["first", "second", "last"]


@dataclass(frozen=True, eq=False, slots=True)
class VerbGroup:
    """The verbs of a clause: `picks up`, `does ... pick up`, `has picked up`, `is tired`.

    Attributes:
        finite: the finite verb, which agrees with the subject.
        english_rest: the words after it.
        german_rest: the end of the bracket; without an auxiliary, a separable prefix or empty.
        has_auxiliary: whether `finite` is an auxiliary.
    """

    finite: FiniteVerb
    english_rest: tuple[str, ...]
    german_rest: str
    has_auxiliary: bool = True

    @classmethod
    def simple(cls, verb: Verb) -> Self:
        """Return a verb without an auxiliary: `picks up`; `holt ... ab`, `abholt`."""
        return cls(verb, verb.particles, verb.prefix, has_auxiliary=False)

    def english(
        self, agreement: Agreement, *, with_auxiliary: bool
    ) -> tuple[list[Token], list[Token]]:
        """Return the auxiliary, if any, and the rest; `not` and questions need an auxiliary."""
        forms = self.finite.english
        if self.has_auxiliary:
            auxiliary = [token(forms[agreement], self, "auxiliary")]
            return auxiliary, tokens(self.english_rest, self, "verb")
        auxiliary = [token(DO[agreement], self, "verb")] if with_auxiliary else []
        form = forms[0] if with_auxiliary else forms[agreement]
        return auxiliary, tokens((form, *self.english_rest), self, "verb")

    def german(self, agreement: Agreement) -> tuple[list[Token], list[Token]]:
        """Return the finite verb and the end of the bracket, for a main clause."""
        part = "auxiliary" if self.has_auxiliary else "verb"
        rest = [token(self.german_rest, self, "verb")] if self.german_rest else []
        return [token(self.finite.german[agreement], self, part)], rest

    def german_last(self, agreement: Agreement) -> list[Token]:
        """Return all verbs together, for the end of a subordinate clause."""
        if self.has_auxiliary:
            finite, rest = self.german(agreement)
            return rest + finite
        return [token(self.german_rest + self.finite.german[agreement], self, "verb")]


@dataclass(frozen=True, eq=False, slots=True)
class Clause:
    """A clause, which can be rendered in each word order of the two languages.

    An object or place that has moved to the front of a relative clause is not part of it.
    """

    subject: Nominal
    verb: VerbGroup
    complements: tuple[Complement, ...] = ()
    place: Complement | None = None
    adverb: Expression | None = None
    is_negated: bool = False
    content: Words | None = None

    def english(self, *, is_question: bool = False) -> list[Token]:
        """Return the English words: `Tom has often chased Jerry`, `has Tom often chased Jerry`."""
        subject = self.subject.english(Case.NOMINATIVE)
        auxiliary, rest = self.verb.english(
            self.subject.agreement, with_auxiliary=is_question or self.is_negated
        )
        start = auxiliary + subject if is_question else subject + auxiliary
        if self.is_negated:
            start.append(token("not", self, "not"))
        if self.adverb:
            start += tokens(self.adverb.english, self, "adverb")
        return start + rest + english(*self.complements, self.place, self.content)

    def german(self, position: VerbPosition) -> list[Token]:
        """Return the German words with the finite verb in this position.

        First: `jagt Tom Jerry oft`, in a question or after an opening of a main clause. Second:
        `Tom holt Jerry ab`. Last: `Tom Jerry abholt`.
        """
        agreement = self.subject.agreement
        subject, middle = self.subject.german(Case.NOMINATIVE), self._german_middle()
        content = german(self.content)
        if position == "last":
            return subject + middle + self.verb.german_last(agreement) + content
        finite, end = self.verb.german(agreement)
        start = finite + subject if position == "first" else subject + finite
        return start + middle + end + content

    def _german_middle(self) -> list[Token]:
        """Return pronouns, adverb, objects, `nicht` and prepositional phrases, in this order."""
        first, middle, last = [], [], []
        for complement in self.complements:
            if complement.preposition:
                last += complement.german
            elif complement.nominal.comes_first:
                first += complement.german
            else:
                middle += complement.german
        if self.adverb:
            first += tokens(self.adverb.german, self, "adverb")
        if self.is_negated:
            middle.append(token("nicht", self, "not"))
        return first + middle + last + german(self.place)


def relative_clause(pronoun: Nominal, clause: Clause, moved: Complement | None = None) -> Words:
    """Return `who chases Jerry`, `in which Tom sleeps`.

    `moved` is the pronoun, with its preposition if any, moved to the front. It is None if the
    pronoun is the subject of the clause.
    """
    comma = token(",", pronoun, "noun")
    return Words(
        english(moved) + clause.english(),
        [comma, *german(moved), *clause.german("last"), comma],
    )


def subordinate_clause(conjunction: Expression, clause: Clause) -> Words:
    """Return `because Tom sleeps`, `that Tom sleeps`."""
    node = object()
    comma = token(",", node, "conjunction")
    start = tokens(conjunction.german, node, "conjunction")
    return Words(
        tokens(conjunction.english, node, "conjunction") + clause.english(),
        [comma, *start, *clause.german("last"), comma],
    )


def opening_word(word: Expression) -> Words:
    """Return `today` at the front of a main clause."""
    node = object()
    return Words(tokens(word.english, node, "adverb"), tokens(word.german, node, "adverb"))


def opening_clause(clause: Words) -> Words:
    """Return `because Tom sleeps ,` at the front of a main clause; both languages have a comma."""
    comma = token(",", object(), "comma")
    return Words([*clause.english, comma], [*clause.german[1:], comma])


def main_clause(
    clause: Clause,
    opening: Words | None = None,
    closing: Words | None = None,
    *,
    is_question: bool = False,
) -> Words:
    """Return a statement with an optional opening and closing, or a question: `Does Tom sleep`."""
    position: VerbPosition = "first" if opening or is_question else "second"
    return Words(
        english(opening) + clause.english(is_question=is_question) + english(closing),
        german(opening) + clause.german(position) + german(closing),
    )


def coordination(first: Words, connective: Expression, second: Words) -> Words:
    """Return `Tom sleeps , and Jerry sings`."""
    node = object()
    comma = token(",", node, "comma")
    return Words(
        [*first.english, comma, *tokens(connective.english, node, "connective"), *second.english],
        [*first.german, comma, *tokens(connective.german, node, "connective"), *second.german],
    )


def sentence(body: Words, mark: str) -> Words:
    """Return a sentence, which ends with one of `END_MARKS`."""
    end = token(mark, object(), "mark")
    return Words([*body.english, end], merge_commas([*body.german, end]))


def merge_commas(words: list[Token]) -> list[Token]:
    """Merge adjacent commas into the last one, which English may have too.

    A comma before the mark that ends the sentence is removed.
    """
    following = chain(words[1:], [None])
    return [
        word
        for word, after in zip(words, following, strict=True)
        if word.form != "," or (after is not None and after.form not in (",", *END_MARKS))
    ]
