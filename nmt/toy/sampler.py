"""Random sentences of the toy language of about a given length.

Ambiguous English sentences are avoided, so that each sentence has one translation. A noun has a
prepositional phrase or a relative clause, never both. A place modifies a verb only if it cannot be
read as part of a preceding noun phrase. A pair has no nouns with modifiers. Main clauses are joined
after a comma.
"""

from collections.abc import Sequence

from nmt.toy import clauses, lexicon
from nmt.toy.clauses import Clause, VerbGroup
from nmt.toy.entries import Kind, Noun, Pronoun, Slot, Verb
from nmt.toy.morphology import Agreement
from nmt.toy.nominal_sampler import LONGEST_NOMINAL, SHORTEST_PLACE, NominalSampler
from nmt.toy.phrases import Complement, Nominal, RelativePronoun, Words

VerbClasses = tuple[tuple[Verb, ...], ...]

_LONGEST_CLAUSE = 20

_VERBS_WITH_ANIMATE_OBJECT = (lexicon.TRANSITIVE, lexicon.DATIVE, lexicon.PREPOSITIONAL)
_VERBS_OF_ANIMALS: VerbClasses = (lexicon.INTRANSITIVE, *_VERBS_WITH_ANIMATE_OBJECT)
_VERBS_OF_PEOPLE: VerbClasses = (*_VERBS_OF_ANIMALS, lexicon.HANDLING, lexicon.GIVING)
_VERBS_WITH_THING = (lexicon.HANDLING, lexicon.HANDLING, lexicon.GIVING)


class Sampler(NominalSampler):
    """A random generator of sentences; requested numbers of English words are met approximately."""

    def sentence(self, words: int) -> Words:
        """Return a sentence of about `words` words (3 or more), including the mark at its end."""
        if 4 <= words <= _LONGEST_CLAUSE and self._dice.chance(0.08):
            question = clauses.main_clause(self._question(words - 1), is_question=True)
            return clauses.sentence(question, "?")
        mark = "!" if self._dice.chance(0.08) else "."
        return clauses.sentence(self._main_clauses(words - 1), mark)

    def _main_clauses(self, words: int) -> Words:
        longest = 2 * _LONGEST_CLAUSE
        if words <= longest and (words < 10 or not self._dice.chance(0.15)):
            return self._main_clause(words)
        first = self._dice.between(4, min(words - 6, longest))
        clause, connective = self._main_clause(first), self._dice.choose(lexicon.CONNECTIVES)
        return clauses.coordination(clause, connective, self._main_clauses(words - 2 - first))

    def _main_clause(self, words: int) -> Words:
        if words > _LONGEST_CLAUSE or (words >= 8 and self._dice.chance(0.35)):
            return self._complex_clause(words)
        if words >= 4 and self._dice.chance(0.2):
            opener = self._dice.choose(lexicon.OPENERS)
            clause = self._clause(words - len(opener.english))
            return clauses.main_clause(clause, clauses.opening_word(opener))
        return clauses.main_clause(self._clause(words))

    def _complex_clause(self, words: int) -> Words:
        """Return `because Tom sleeps , Jerry sings` or the reverse order, of 8 or more words."""
        conjunction = self._dice.choose(lexicon.CONJUNCTIONS)
        is_opening = self._dice.chance(0.5)
        words -= len(conjunction.english) + is_opening
        first = self._dice.between(max(2, words - _LONGEST_CLAUSE), min(words - 2, _LONGEST_CLAUSE))
        main = self._clause(first)
        subordinate = clauses.subordinate_clause(conjunction, self._clause(words - first))
        if is_opening:
            return clauses.main_clause(main, opening=clauses.opening_clause(subordinate))
        return clauses.main_clause(main, closing=subordinate)

    def _question(self, words: int) -> Clause:
        if self._dice.chance(0.2):
            return self._description(words, lexicon.ANIMATE)
        verb = self._verb(_VERBS_OF_PEOPLE, words - 2)
        return self._action(words, verb, verb.slots, is_question=True)

    def _clause(
        self, words: int, subject: Nominal | None = None, *, is_person: bool = True
    ) -> Clause:
        """Return any clause; here and below, `words` does not include a given subject."""
        room = words if subject else words - 1
        most = 3 if subject else LONGEST_NOMINAL
        if 2 <= room <= most and self._dice.chance(0.15):
            return self._description(words, lexicon.ANIMATE, subject)
        if room >= 4 and is_person and self._dice.chance(0.15):
            return self._report(words, subject)
        classes = _VERBS_OF_PEOPLE if is_person else _VERBS_OF_ANIMALS
        if subject and room > 3:
            classes = classes[1:]  # only verbs with an object, to fill the room
        verb = self._verb(classes, room)
        return self._action(words, verb, verb.slots, subject)

    def _description(self, words: int, kind: Kind, subject: Nominal | None = None) -> Clause:
        """Return a clause like `the dog is tired`."""
        if subject is None and self._dice.chance(0.3):
            kind = self._dice.choose((lexicon.THINGS, lexicon.PLACES))
        spare = words - (2 if subject else 3)
        has_adverb = spare > 0 and self._dice.chance(0.3)
        adjective = self._dice.choose(kind.adjectives)
        return Clause(
            subject or self.nominal(1 + spare - has_adverb, kind, lexicon.SUBJECT_PRONOUNS),
            VerbGroup(lexicon.BE, (adjective.english,), adjective.german),
            adverb=self._dice.choose(lexicon.ADVERBS) if has_adverb else None,
        )

    def _report(self, words: int, subject: Nominal | None) -> Clause:
        """Return a clause like `Tom says that Jerry sleeps`."""
        verb = self._dice.choose(lexicon.SAYING)
        is_compound = words >= 6 and self._dice.chance(0.2)
        words -= 2 + is_compound
        content = words if subject else self._dice.between(2, words - 1)
        return Clause(
            subject or self.nominal(words - content, lexicon.PEOPLE, lexicon.SUBJECT_PRONOUNS),
            self._compound(verb) if is_compound else VerbGroup.simple(verb),
            content=clauses.subordinate_clause(lexicon.THAT, self._clause(content)),
        )

    def _action(
        self,
        words: int,
        verb: Verb,
        slots: Sequence[Slot],
        subject: Nominal | None = None,
        *,
        is_question: bool = False,
        may_have_place: bool = True,
    ) -> Clause:
        """Return a clause with this verb, and objects for `slots`."""
        spare = words - _least_words(verb, slots) - (subject is None) - is_question
        may_be_negated = spare >= 2 and all(slot.kind.is_animate for slot in slots)
        is_negated = may_be_negated and self._dice.chance(0.1)
        is_compound = (spare > is_negated or is_question) and self._dice.chance(0.3)
        spare -= is_negated + ((is_negated or is_compound) and not is_question)
        has_adverb = spare > 0 and not is_negated and self._dice.chance(0.2)
        spare -= has_adverb
        place = None
        if spare >= SHORTEST_PLACE and may_have_place and not is_negated and self._dice.chance(0.3):
            others = 3 * len(slots) if subject else spare  # words that other phrases can take
            least = max(SHORTEST_PLACE, spare - others)
            place_words = self._dice.between(least, max(least, min(spare, 6)))
            place = self.place(place_words)
            spare -= place_words
        if subject is None:
            room = len(slots) * (LONGEST_NOMINAL if place is None else 3)
            extra = self._dice.between(max(0, spare - room), spare)
            subject = self.nominal(1 + extra, _actor(verb), lexicon.SUBJECT_PRONOUNS)
            spare -= extra
        return Clause(
            subject,
            self._compound(verb, may_be_modal=not is_negated)
            if is_compound
            else VerbGroup.simple(verb),
            self._objects(slots, spare, subject, is_negated=is_negated, has_place=bool(place)),
            place,
            self._dice.choose(lexicon.ADVERBS) if has_adverb else None,
            is_negated,
        )

    def _compound(self, verb: Verb, *, may_be_modal: bool = True) -> VerbGroup:
        """Return a verb group like `can pick up` or `has picked up`."""
        if may_be_modal and self._dice.chance(0.5):
            english = (verb.english[0], *verb.particles)
            german = verb.prefix + verb.german[Agreement.PLURAL]
            return VerbGroup(self._dice.choose(lexicon.MODALS), english, german)
        auxiliary = lexicon.HAVE_WITH_SEIN if verb.perfect_with_sein else lexicon.HAVE_WITH_HABEN
        english = (verb.english_participle, *verb.particles)
        return VerbGroup(auxiliary, english, verb.german_participle)

    def _objects(
        self, slots: Sequence[Slot], spare: int, subject: Nominal, is_negated: bool, has_place: bool
    ) -> tuple[Complement, ...]:
        """Return the objects for the slots; only the last one may have a modifier.

        Before a place, none may have one.
        """
        pronouns: Sequence[Pronoun] = lexicon.THIRD_PERSON_PRONOUNS
        if subject.agreement == Agreement.THIRD_SINGULAR:
            pronouns = lexicon.PRONOUNS  # other subjects could require `myself` or `ourselves`
        objects = []
        for number, slot in enumerate(slots, start=1):
            is_last = number == len(slots)
            extra = spare if is_last else self._dice.between(0, min(spare, 2))
            spare -= extra
            is_simple = has_place or not is_last
            nominal = self.nominal(
                1 + extra, slot.kind, pronouns, is_simple=is_simple, is_definite=is_negated
            )
            objects.append(Complement(nominal, slot.case, slot.preposition))
        return tuple(objects)

    def relative_clause(self, noun: Noun, is_plural: bool, kind: Kind, words: int) -> Words:
        """Return a relative clause of 2 or more words (3 if inanimate, such as `that is old`)."""
        pronoun = RelativePronoun(noun, is_plural)
        if kind.is_animate and (words == 2 or self._dice.chance(0.6)):
            clause = self._clause(words - 1, pronoun, is_person=noun.is_person)
            return clauses.relative_clause(pronoun, clause)
        if kind is lexicon.PLACES:
            is_description = words == 3 or (words == 4 and self._dice.chance(0.5))
        else:
            is_description = not kind.is_animate and words <= 4 and self._dice.chance(0.3)
        if is_description:
            return clauses.relative_clause(pronoun, self._description(words - 1, kind, pronoun))
        if kind is lexicon.PLACES:
            return self._relative_place(noun, is_plural, words)
        classes = _VERBS_WITH_ANIMATE_OBJECT if kind.is_animate else _VERBS_WITH_THING
        verb = self._verb(classes, words - 1)
        *slots, moved = verb.slots
        pronoun = RelativePronoun(noun, is_plural, moved.preposition is not None)
        clause = self._action(words - 1 - _num_words(moved), verb, slots)
        front = Complement(pronoun, moved.case, moved.preposition)
        return clauses.relative_clause(pronoun, clause, front)

    def _relative_place(self, noun: Noun, is_plural: bool, words: int) -> Words:
        """Return a relative clause like `in which Tom sleeps`, of 4 or more words."""
        pronoun = RelativePronoun(noun, is_plural, follows_preposition=True)
        preposition = lexicon.PLACE_PREPOSITIONS[0]
        verb = self._verb(_VERBS_OF_PEOPLE, words - 3)
        clause = self._action(words - 2, verb, verb.slots, may_have_place=False)
        front = Complement(pronoun, preposition.case, preposition)
        return clauses.relative_clause(pronoun, clause, front)

    def _verb(self, classes: VerbClasses, room: int) -> Verb:
        """Return a random verb that fits into `room` words with its shortest objects."""
        while True:
            verb = self._dice.choose(self._dice.choose(classes))
            if _least_words(verb, verb.slots) <= room:
                return verb


def _num_words(slot: Slot) -> int:
    """Return the minimum number of words for a slot: its preposition, and one."""
    return 1 + (len(slot.preposition.english) if slot.preposition else 0)


def _least_words(verb: Verb, slots: Sequence[Slot]) -> int:
    """Return the number of words of the verb with its shortest objects."""
    return 1 + len(verb.particles) + sum(map(_num_words, slots))


def _actor(verb: Verb) -> Kind:
    """Return the kind of the subject: only people may act on things."""
    return lexicon.ANIMATE if all(slot.kind.is_animate for slot in verb.slots) else lexicon.PEOPLE
