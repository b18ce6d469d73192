"""Sentences whose translation a person has written, for each thing that the grammar does."""

import pytest

from nmt.toy import lexicon
from nmt.toy.clauses import (
    Clause,
    VerbGroup,
    coordination,
    main_clause,
    opening_clause,
    opening_word,
    relative_clause,
    sentence,
    subordinate_clause,
)
from nmt.toy.corpus import SentencePair, render
from nmt.toy.entries import Expression, Noun, Verb
from nmt.toy.morphology import Case
from nmt.toy.phrases import (
    Complement,
    Name,
    Nominal,
    NounPhrase,
    Pair,
    PersonalPronoun,
    Phrase,
    RelativePronoun,
    Words,
)

VERBS = {
    " ".join((verb.english[0], *verb.particles)): verb
    for group in (
        lexicon.TRANSITIVE,
        lexicon.HANDLING,
        lexicon.DATIVE,
        lexicon.PREPOSITIONAL,
        lexicon.GIVING,
        lexicon.SAYING,
        lexicon.INTRANSITIVE,  # last: `laugh` without `about`
    )
    for verb in group
}
NOUNS = {
    noun.english[0]: noun
    for kind in (lexicon.ANIMATE, lexicon.THINGS, lexicon.PLACES)
    for noun in kind.nouns
}
ADJECTIVES = {
    adjective.english: adjective
    for kind in (lexicon.ANIMATE, lexicon.THINGS, lexicon.PLACES)
    for adjective in kind.adjectives
}
SINGULAR = {determiner.english: determiner for determiner in lexicon.SINGULAR}
PLURAL = {determiner.english: determiner for determiner in lexicon.PLURAL}
WORDS: dict[str, Expression] = {
    " ".join(word.english): word
    for words in (lexicon.ADVERBS, lexicon.OPENERS, lexicon.CONJUNCTIONS, lexicon.CONNECTIVES)
    for word in words
}
PREPOSITIONS = {" ".join(word.english): word for word in lexicon.PLACE_PREPOSITIONS}
PRONOUNS = {pronoun.english[0]: pronoun for pronoun in lexicon.PRONOUNS}

TOM, JERRY = Name("Tom"), Name("Jerry")


def the(*words: str, modifier: Phrase | None = None, plural: bool = False) -> NounPhrase:
    """`the("small", "dog")`."""
    return phrase("the", *words, modifier=modifier, plural=plural)


def phrase(
    determiner: str, *words: str, modifier: Phrase | None = None, plural: bool = False
) -> NounPhrase:
    adjectives = tuple(ADJECTIVES[word] for word in words[:-1])
    determiners = PLURAL if plural else SINGULAR
    entry = determiners[determiner] if determiner else None
    return NounPhrase(NOUNS[words[-1]], plural, entry, adjectives, modifier)


def they(pronoun: str) -> PersonalPronoun:
    return PersonalPronoun(PRONOUNS[pronoun])


def clause(
    subject: Nominal,
    verb: str,
    *objects: Nominal,
    group: VerbGroup | None = None,
    place: Complement | None = None,
    adverb: str | None = None,
    negated: bool = False,
    content: Clause | None = None,
) -> Clause:
    entry = VERBS[verb]
    complements = tuple(
        Complement(nominal, slot.case, slot.preposition)
        for nominal, slot in zip(objects, entry.slots, strict=False)
    )
    return Clause(
        subject,
        group or VerbGroup.simple(entry),
        complements,
        place,
        WORDS[adverb] if adverb else None,
        negated,
        subordinate_clause(lexicon.THAT, content) if content else None,
    )


def perfect(verb: str) -> VerbGroup:
    entry = VERBS[verb]
    auxiliary = lexicon.HAVE_WITH_SEIN if entry.perfect_with_sein else lexicon.HAVE_WITH_HABEN
    rest = (entry.english_participle, *entry.particles)
    return VerbGroup(auxiliary, rest, entry.german_participle)


def can(verb: str) -> VerbGroup:
    entry = VERBS[verb]
    rest = (entry.english[0], *entry.particles)
    return VerbGroup(lexicon.MODALS[0], rest, entry.prefix + entry.german[2])


def is_(subject: Nominal, adjective: str, adverb: str | None = None) -> Clause:
    entry = ADJECTIVES[adjective]
    return Clause(
        subject,
        VerbGroup(lexicon.BE, (entry.english,), entry.german),
        adverb=WORDS[adverb] if adverb else None,
    )


def at(preposition: str, nominal: Nominal) -> Complement:
    return Complement(nominal, Case.DATIVE, PREPOSITIONS[preposition])


def who(
    noun: str, verb: str, *objects: Nominal, plural: bool = False, group: VerbGroup | None = None
) -> Words:
    """Subject relative clause."""
    pronoun = RelativePronoun(NOUNS[noun], plural)
    return relative_clause(pronoun, clause(pronoun, verb, *objects, group=group))


def whom(noun: str, subject: Nominal, verb: str, *, plural: bool = False) -> Words:
    """Object relative clause: the last object of the verb has moved."""
    *_, slot = VERBS[verb].slots
    pronoun = RelativePronoun(NOUNS[noun], plural, slot.preposition is not None)
    moved = Complement(pronoun, slot.case, slot.preposition)
    return relative_clause(pronoun, clause(subject, verb), moved)


def pair(body: Clause | Phrase, mark: str = ".") -> SentencePair:
    if mark == "?":
        return render(sentence(main_clause(body, is_question=True), mark))
    return render(sentence(main_clause(body) if type(body) is Clause else body, mark))


def because(inner: Clause, conjunction: str = "because") -> Words:
    return subordinate_clause(WORDS[conjunction], inner)


def translate(body: Clause | Phrase, mark: str = ".") -> tuple[str, str]:
    english, german, _ = pair(body, mark)
    return english, german


def test_the_shortest_sentences() -> None:
    assert translate(clause(TOM, "sleep")) == ("Tom sleeps .", "Tom schläft .")
    assert translate(clause(TOM, "chase", JERRY)) == ("Tom chases Jerry .", "Tom jagt Jerry .")


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (they("I"), ("I sleep .", "Ich schlafe .")),
        (they("she"), ("She sleeps .", "Sie schläft .")),
        (they("we"), ("We sleep .", "Wir schlafen .")),
        (the("dog"), ("The dog sleeps .", "Der Hund schläft .")),
        (the("dog", plural=True), ("The dogs sleep .", "Die Hunde schlafen .")),
        (Pair(TOM, JERRY), ("Tom and Jerry sleep .", "Tom und Jerry schlafen .")),
    ],
)
def test_the_verb_agrees_with_the_subject(subject: Nominal, expected: tuple[str, str]) -> None:
    assert translate(clause(subject, "sleep")) == expected


@pytest.mark.parametrize(
    ("noun_phrase", "nominative", "accusative", "dative"),
    [
        (the("small", "dog"), "Der kleine Hund", "den kleinen Hund", "dem kleinen Hund"),
        (the("small", "cat"), "Die kleine Katze", "die kleine Katze", "der kleinen Katze"),
        (the("small", "horse"), "Das kleine Pferd", "das kleine Pferd", "dem kleinen Pferd"),
        (phrase("a", "old", "dog"), "Ein alter Hund", "einen alten Hund", "einem alten Hund"),
        (phrase("a", "old", "cat"), "Eine alte Katze", "eine alte Katze", "einer alten Katze"),
        (phrase("a", "poor", "horse"), "Ein armes Pferd", "ein armes Pferd", "einem armen Pferd"),
        (phrase("our", "dog"), "Unser Hund", "unseren Hund", "unserem Hund"),
        (
            phrase("this", "tired", "dog"),
            "Dieser müde Hund",
            "diesen müden Hund",
            "diesem müden Hund",
        ),
        (phrase("every", "cow"), "Jede Kuh", "jede Kuh", "jeder Kuh"),
        (the("brave", "boy"), "Der mutige Junge", "den mutigen Jungen", "dem mutigen Jungen"),
        (the("bear"), "Der Bär", "den Bären", "dem Bären"),
    ],
)
def test_singular_noun_phrases_in_every_case(
    noun_phrase: NounPhrase, nominative: str, accusative: str, dative: str
) -> None:
    assert pair(clause(noun_phrase, "sleep")).german == f"{nominative} schläft ."
    assert pair(clause(TOM, "see", noun_phrase)).german == f"Tom sieht {accusative} ."
    assert pair(clause(TOM, "help", noun_phrase)).german == f"Tom hilft {dative} ."


@pytest.mark.parametrize(
    ("noun_phrase", "nominative", "dative"),
    [
        (the("small", "dog", plural=True), "Die kleinen Hunde", "den kleinen Hunden"),
        (phrase("", "small", "dog", plural=True), "Kleine Hunde", "kleinen Hunden"),
        (phrase("two", "small", "cat", plural=True), "Zwei kleine Katzen", "zwei kleinen Katzen"),
        (phrase("these", "poor", "baby", plural=True), "Diese armen Babys", "diesen armen Babys"),
        (phrase("my", "old", "mouse", plural=True), "Meine alten Mäuse", "meinen alten Mäusen"),
    ],
)
def test_plural_noun_phrases_in_every_case(
    noun_phrase: NounPhrase, nominative: str, dative: str
) -> None:
    accusative = nominative[0].lower() + nominative[1:]
    assert pair(clause(noun_phrase, "sleep")).german == f"{nominative} schlafen ."
    assert pair(clause(TOM, "see", noun_phrase)).german == f"Tom sieht {accusative} ."
    assert pair(clause(TOM, "help", noun_phrase)).german == f"Tom hilft {dative} ."


def test_a_and_an() -> None:
    assert pair(clause(phrase("a", "uncle"), "sleep")).english == "An uncle sleeps ."
    assert pair(clause(phrase("a", "small", "uncle"), "sleep")).english == "A small uncle sleeps ."
    assert pair(clause(phrase("a", "old", "dog"), "sleep")).english == "An old dog sleeps ."


def test_the_separable_prefix_ends_the_main_clause() -> None:
    english, german, alignment = pair(clause(TOM, "pick up", the("dog")))
    assert (english, german) == ("Tom picks up the dog .", "Tom holt den Hund ab .")
    assert alignment == ((0, 0), (1, 1), (1, 4), (2, 1), (2, 4), (3, 2), (4, 3), (5, 5))


def test_separable_prefix_is_joined_if_the_verb_is_last_or_not_finite() -> None:
    picks_up = clause(TOM, "pick up", JERRY)
    assert translate(main_clause(clause(TOM, "sing"), closing=because(picks_up))) == (
        "Tom sings because Tom picks up Jerry .",
        "Tom singt , weil Tom Jerry abholt .",
    )
    assert translate(clause(TOM, "pick up", JERRY, group=can("pick up"))) == (
        "Tom can pick up Jerry .",
        "Tom kann Jerry abholen .",
    )
    assert translate(clause(TOM, "pick up", JERRY, group=perfect("pick up"))) == (
        "Tom has picked up Jerry .",
        "Tom hat Jerry abgeholt .",
    )


def test_the_perfect_with_sein() -> None:
    assert translate(clause(the("dog", plural=True), "run", group=perfect("run"))) == (
        "The dogs have run .",
        "Die Hunde sind gelaufen .",
    )


def test_a_subordinate_clause_ends_with_its_verbs() -> None:
    english, german, alignment = pair(
        main_clause(
            clause(TOM, "sing"),
            closing=because(clause(JERRY, "see", the("dog"), group=perfect("see"))),
        )
    )
    assert english == "Tom sings because Jerry has seen the dog ."
    assert german == "Tom singt , weil Jerry den Hund gesehen hat ."
    # The comma belongs to `because`; `has seen` is turned round.
    assert alignment == (
        (0, 0), (1, 1), (2, 2), (2, 3), (3, 4), (4, 8), (5, 7), (6, 5), (7, 6), (8, 9),
    )  # fmt: skip


def test_inversion_after_a_fronted_constituent() -> None:
    assert translate(main_clause(clause(TOM, "chase", JERRY), opening_word(WORDS["today"]))) == (
        "Today Tom chases Jerry .",
        "Heute jagt Tom Jerry .",
    )
    english, german, alignment = pair(
        main_clause(clause(TOM, "sing"), opening_clause(because(clause(JERRY, "sleep"))))
    )
    assert (english, german) == (
        "Because Jerry sleeps , Tom sings .",
        "Weil Jerry schläft , singt Tom .",
    )
    assert alignment == ((0, 0), (1, 1), (2, 2), (3, 3), (4, 5), (5, 4), (6, 6))


def test_words_that_are_one_in_the_other_language() -> None:
    body = main_clause(clause(TOM, "sing"), closing=because(clause(JERRY, "sleep"), "as soon as"))
    assert pair(body).alignment == (
        (0, 0), (1, 1), (2, 2), (2, 3), (3, 2), (3, 3), (4, 2), (4, 3), (5, 4), (6, 5), (7, 6),
    )  # fmt: skip
    body = main_clause(clause(TOM, "sing"), opening_word(WORDS["tonight"]))
    assert pair(body).german == "Heute Abend singt Tom ."
    assert pair(body).alignment == ((0, 0), (0, 1), (1, 3), (2, 2), (3, 4))


def test_a_question_has_its_verb_first() -> None:
    english, german, alignment = pair(clause(TOM, "pick up", JERRY, adverb="often"), "?")
    assert english == "Does Tom often pick up Jerry ?"
    assert german == "Holt Tom oft Jerry ab ?"
    assert set(alignment) == {
        (0, 0), (0, 4), (1, 1), (2, 2), (3, 0), (3, 4), (4, 0), (4, 4), (5, 3), (6, 5),
    }  # fmt: skip
    assert translate(is_(the("dog"), "tired"), "?") == (
        "Is the dog tired ?",
        "Ist der Hund müde ?",
    )


def test_negation_is_between_object_and_prepositional_phrase() -> None:
    assert translate(clause(they("we"), "see", the("dog"), negated=True)) == (
        "We do not see the dog .",
        "Wir sehen den Hund nicht .",
    )
    assert translate(clause(TOM, "wait", JERRY, negated=True)) == (
        "Tom does not wait for Jerry .",
        "Tom wartet nicht auf Jerry .",
    )
    assert translate(clause(TOM, "call", JERRY, negated=True, group=perfect("call"))) == (
        "Tom has not called Jerry .",
        "Tom hat Jerry nicht angerufen .",
    )


def test_pronouns_come_before_adverbs() -> None:
    assert translate(clause(TOM, "see", they("he"), adverb="often")) == (
        "Tom often sees him .",
        "Tom sieht ihn oft .",
    )
    assert translate(clause(TOM, "help", they("they"), adverb="never")) == (
        "Tom never helps them .",
        "Tom hilft ihnen nie .",
    )
    assert translate(clause(TOM, "think", they("I"), adverb="never")) == (
        "Tom never thinks of me .",
        "Tom denkt nie an mich .",
    )


def test_two_objects() -> None:
    assert translate(clause(TOM, "give", the("dog"), phrase("a", "apple"))) == (
        "Tom gives the dog an apple .",
        "Tom gibt dem Hund einen Apfel .",
    )


def test_a_preposition_and_a_definite_article_are_one_word() -> None:
    english, german, alignment = pair(clause(TOM, "sleep", place=at("in", the("garden"))))
    assert (english, german) == ("Tom sleeps in the garden .", "Tom schläft im Garten .")
    assert alignment == ((0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (5, 4))
    in_kitchen = clause(TOM, "sleep", place=at("in", the("kitchen")))
    assert pair(in_kitchen).german == "Tom schläft in der Küche ."
    near = clause(TOM, "sleep", place=at("near", the("castle")))
    assert pair(near).german == "Tom schläft beim Schloss ."
    assert pair(clause(TOM, "dream", the("dog"))).german == "Tom träumt vom Hund ."


def test_a_relative_clause_of_the_subject() -> None:
    body = clause(the("dog", modifier=who("dog", "chase", JERRY)), "sleep")
    english, german, alignment = pair(body)
    assert english == "The dog that chases Jerry sleeps ."
    assert german == "Der Hund , der Jerry jagt , schläft ."
    # Both commas belong to `that`.
    assert alignment == (
        (0, 0), (1, 1), (2, 2), (2, 3), (2, 6), (3, 5), (4, 4), (5, 7), (6, 8),
    )  # fmt: skip


def test_a_relative_clause_of_the_object() -> None:
    assert translate(clause(the("dog", modifier=whom("dog", TOM, "see")), "sleep")) == (
        "The dog that Tom sees sleeps .",
        "Der Hund , den Tom sieht , schläft .",
    )
    women = the("woman", modifier=whom("woman", TOM, "help", plural=True), plural=True)
    assert translate(clause(women, "sleep")) == (
        "The women whom Tom helps sleep .",
        "Die Frauen , denen Tom hilft , schlafen .",
    )
    boy = the("boy", modifier=whom("boy", TOM, "wait"))
    assert translate(clause(boy, "sleep")) == (
        "The boy for whom Tom waits sleeps .",
        "Der Junge , auf den Tom wartet , schläft .",
    )


def test_a_relative_clause_of_a_place_is_not_contracted() -> None:
    pronoun = RelativePronoun(NOUNS["garden"], False, follows_preposition=True)
    modifier = relative_clause(pronoun, clause(TOM, "sleep"), at("in", pronoun))
    assert translate(is_(the("garden", modifier=modifier), "old")) == (
        "The garden in which Tom sleeps is old .",
        "Der Garten , in dem Tom schläft , ist alt .",
    )


def test_relative_clauses_nest_in_the_centre() -> None:
    mouse = the("mouse")
    cat = the("cat", modifier=who("cat", "see", mouse))
    dog = the("dog", modifier=who("dog", "chase", cat))
    assert translate(clause(TOM, "pick up", dog)) == (
        "Tom picks up the dog that chases the cat that sees the mouse .",
        "Tom holt den Hund , der die Katze , die die Maus sieht , jagt , ab .",
    )


def test_commas_that_meet_are_one() -> None:
    relative = who("dog", "sleep")
    body = main_clause(
        clause(TOM, "see", the("dog", modifier=relative)), closing=because(clause(JERRY, "sing"))
    )
    english, german, alignment = pair(body)
    assert english == "Tom sees the dog that sleeps because Jerry sings ."
    assert german == "Tom sieht den Hund , der schläft , weil Jerry singt ."
    assert [i for i, j in alignment if j == 7] == [6]  # of `because`, which it comes before


def test_no_comma_before_the_full_stop() -> None:
    assert pair(clause(TOM, "see", the("dog", modifier=who("dog", "sleep")))).german == (
        "Tom sieht den Hund , der schläft ."
    )


def test_object_clause_follows_the_final_verb() -> None:
    says = clause(TOM, "say", content=clause(JERRY, "sleep"))
    assert translate(says) == ("Tom says that Jerry sleeps .", "Tom sagt , dass Jerry schläft .")
    has_said = clause(TOM, "say", group=perfect("say"), content=clause(JERRY, "sleep"))
    assert translate(main_clause(clause(TOM, "sing"), closing=because(has_said))) == (
        "Tom sings because Tom has said that Jerry sleeps .",
        "Tom singt , weil Tom gesagt hat , dass Jerry schläft .",
    )


def test_main_clauses_are_joined_after_a_comma_in_both_languages() -> None:
    body = coordination(
        main_clause(clause(TOM, "see", the("dog", modifier=who("dog", "sleep")))),
        WORDS["but"],
        main_clause(clause(JERRY, "sing"), opening_word(WORDS["now"])),
    )
    english, german, alignment = pair(body)
    assert english == "Tom sees the dog that sleeps , but now Jerry sings ."
    assert german == "Tom sieht den Hund , der schläft , aber jetzt singt Jerry ."
    assert [i for i, j in alignment if j == 7] == [6]  # the English comma, not `that`


def test_descriptions() -> None:
    assert translate(is_(the("red", "lamp", plural=True), "broken", "often")) == (
        "The red lamps are often broken .",
        "Die roten Lampen sind oft kaputt .",
    )
    body = main_clause(clause(TOM, "sing"), closing=because(is_(they("I"), "tired")))
    assert pair(body).german == "Tom singt , weil ich müde bin ."


def test_the_lexicon_is_of_a_size_that_a_small_model_learns() -> None:
    words = len(VERBS) + len(NOUNS) + len(ADJECTIVES) + len(lexicon.NAMES)
    assert 150 <= words <= 250


@pytest.mark.parametrize("noun", NOUNS.values(), ids=lambda noun: noun.english[0])
def test_every_noun_ends_as_german_nouns_do_in_the_dative_plural(noun: Noun) -> None:
    assert noun.german[1][Case.DATIVE][-1] in "ns"


@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.english[0])
def test_every_verb_has_forms_of_the_right_shape(verb: Verb) -> None:
    first, third, infinitive = verb.german
    assert infinitive.endswith("n")
    assert first.endswith("e") or first == "weiß"
    assert third.endswith("t") or third == "weiß"
    assert verb.german_participle.startswith(verb.prefix)
    assert verb.german_participle[-1] in "tn"
    assert verb.english[1].endswith("s")
