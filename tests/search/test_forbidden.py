"""Forbidden phrases against a plain reading of every text that a few pieces make."""

from itertools import product

import numpy as np
import pytest
import torch

from nmt.core.byte_spelling import BLANK, JOIN, spell
from nmt.core.special_tokens import BOS, EOS, SPECIAL_SYMBOLS
from nmt.core.tensor_tree import to
from nmt.search import forbidden
from nmt.search.beam import BeamSearch
from nmt.search.forbidden import ForbiddenPhrases
from nmt.search.penalties import NoPenalty, Scoring
from nmt.search.phrase_automaton import PhraseAutomaton
from nmt.search.request import Request
from nmt.search.rules import LengthLimits, PartialHypotheses, Rules
from nmt.search.table import SEARCHES
from nmt.search.vocabulary_subset import VocabularySubset

LIMITS = LengthLimits(max_length=4, max_length_ratio=None)
SUBWORDS = ["_a", "a", "b", "-", "_"]
WORDS = ["_a", "_ab", "_b", "-", "_-+"]  # "-" joins both sides, as marks do among whole words


def spellings(pieces: list[str]) -> list[tuple[int, ...]]:
    joins = {"-": JOIN, "_-+": JOIN} if pieces is WORDS else {}
    return [
        *[()] * len(SPECIAL_SYMBOLS),
        *(
            tuple(BLANK if letter == "_" else spell(letter)[0] for letter in piece.rstrip("+"))
            + ((joins[piece],) if piece in joins else ())
            for piece in pieces
        ),
    ]


def text_of(tokens: tuple[int, ...], pieces: list[str]) -> str:
    written = "".join(pieces[token - EOS - 1] for token in tokens)
    if pieces is WORDS:
        written = written.replace("-+_", "-").replace("-_", "-").replace("+", "")
    return " ".join(written.replace("_", " ").split())


def ends(phrase: str, text: str) -> list[int]:
    """Where the phrase ends in the text, as often as it stands there."""

    def is_edge(place: int) -> bool:
        around = text[max(0, place - 1) : place + 1]
        return not (0 < place < len(text) and around.isalnum())

    return [
        place + len(phrase)
        for place in range(len(text))
        if text.startswith(phrase, place) and is_edge(place) and is_edge(place + len(phrase))
    ]


def stands(phrase: str, text: str) -> bool:
    return bool(ends(phrase, text))


def allowed(pieces: list[str], phrases: list[str]) -> set[tuple[int, ...]]:
    tokens = range(EOS + 1, EOS + 1 + len(pieces))
    every = (found for length in range(5) for found in product(tokens, repeat=length))
    return {
        found
        for found in every
        if not any(stands(phrase, text_of(found, pieces)) for phrase in phrases)
    }


PHRASES = [
    ["a"],
    ["ab"],
    ["a b"],
    ["ab", "a a", "-"],
    ["a", "ab"],
    ["b-", "-a b"],
    ["aab", "ab a", "b b"],
]


@pytest.mark.parametrize("phrases", PHRASES, ids=str)
@pytest.mark.parametrize("pieces", [SUBWORDS, WORDS], ids=["subwords", "words"])
def test_a_wide_beam_finds_all_texts_without_the_phrases(random_model, pieces, phrases):
    model = random_model(EOS + 1 + len(pieces), seed=1)
    rule = ForbiddenPhrases(phrases, lambda: spellings(pieces))
    search = BeamSearch(800, 800, Scoring(NoPenalty()), Rules(LIMITS, [rule]))
    ((*found,),) = model.translate(search, [1], [3])
    expected = allowed(pieces, phrases)
    assert 1 < len(expected) < 781
    assert {item.tokens for item in found} == expected
    for item in found[:20]:
        total = model.log_probability(1, item.tokens)
        assert item.log_probability == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("phrases", PHRASES, ids=str)
@pytest.mark.parametrize("left_out", ["b", "-", "_"])
def test_a_shortlist_leaves_no_way_out_that_it_does_not_have(random_model, phrases, left_out):
    tokens = [EOS + 1 + i for i, piece in enumerate(SUBWORDS) if piece != left_out]
    subset = VocabularySubset(tokens)
    model = random_model(len(subset), seed=2)
    rule = ForbiddenPhrases(phrases, lambda: spellings(SUBWORDS))
    search = BeamSearch(400, 400, Scoring(NoPenalty()), Rules(LIMITS, [rule]))
    ((*found,),) = model.translate(search, [2], [3], subset=subset)
    expected = {item for item in allowed(SUBWORDS, phrases) if set(item) <= set(tokens)}
    assert {subset.to_tokens(item.tokens) for item in found} == expected


@pytest.mark.parametrize("name", sorted(SEARCHES))
@pytest.mark.parametrize("phrases", PHRASES[2:5], ids=str)
def test_no_search_writes_them(random_model, make_search, name, phrases):
    model = random_model(EOS + 1 + len(SUBWORDS), seed=3)
    rule = ForbiddenPhrases(phrases, lambda: spellings(SUBWORDS))
    limits = LengthLimits(max_length=12, max_length_ratio=None)
    search = make_search(name, Scoring(NoPenalty()), Rules(limits, [rule]))
    sentences = list(range(30))
    together = model.translate(search, sentences, [5] * 30)
    texts = [text_of(best.tokens, SUBWORDS) for (best,) in together]
    assert len(set(texts)) > 3
    assert not any(stands(phrase, text) for phrase in phrases for text in texts)
    for sentence in (0, 7, 23):
        assert model.translate(search, [sentence], [5])[0] == together[sentence]


@pytest.mark.parametrize(
    ("phrases", "given"),
    [
        (["a"], ["a", "a"]),
        (["a"], ["_a"]),
        (["a"], ["_a", "_"]),
        (["a", "ab"], ["_a"]),  # "a" may stand there, and "ab" not
        (["a", "a a"], ["_a"]),
        (["a b", "a"], ["b", "_a"]),
        (["ab", "a a", "-"], ["a", "b"]),
        (["b-", "b"], ["b", "-"]),
        (["aa"], ["_a"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("left_out", [None, "_"])
def test_what_is_all_in_a_forced_prefix_may_stand_there(random_model, phrases, given, left_out):
    kept = [piece for piece in SUBWORDS if piece != left_out or piece in given]
    tokens = [EOS + 1 + SUBWORDS.index(piece) for piece in kept]
    prefix = tuple(EOS + 1 + SUBWORDS.index(piece) for piece in given)
    subset = None if left_out is None else VocabularySubset(tokens)
    model = random_model(EOS + 1 + len(tokens), seed=4)
    rule = ForbiddenPhrases(phrases, lambda: spellings(SUBWORDS))
    search = BeamSearch(800, 800, Scoring(NoPenalty()), Rules(LIMITS, [rule]))
    forced = prefix if subset is None else subset.to_indices(prefix)
    ((*found,),) = model.translate(search, [4], [3], prefixes=torch.tensor([forced]), subset=subset)
    texts = {
        (*prefix, *rest): text_of((*prefix, *rest), SUBWORDS)
        for length in range(5 - len(prefix))
        for rest in product(tokens, repeat=length)
    }
    in_prefix = len(text_of(prefix, SUBWORDS))
    expected = {
        written
        for written, text in texts.items()
        if all(end <= in_prefix for phrase in phrases for end in ends(phrase, text))
    }
    assert prefix in expected and len(expected) < len(texts)
    restore = tuple if subset is None else subset.to_tokens
    assert {restore(item.tokens) for item in found} == expected


@pytest.mark.parametrize(("num_states", "bits"), [(2**14 - 1, 16), (2**14 + 1, 32)])
def test_states_are_told_apart_however_many(num_states, bits):
    """Each letter leads from one to the next, and completes a phrase in the last."""
    following = np.arange(1, num_states + 1)
    following[-1] = 2 * num_states - 1
    automaton = PhraseAutomaton(
        letters=np.zeros(JOIN + 1, np.int64),
        after=following[:, None].astype(np.int32),
        plain=np.arange(num_states),
        is_open=np.zeros(num_states, bool),
        excused=np.arange(num_states),
    )
    after = automaton.read([spell("a")])
    assert after.itemsize * 8 == bits
    assert after[:, 0].tolist() == following.tolist()


def test_the_tables_of_one_letter_and_two_pieces():
    """The example of `_Tables`."""
    vocabulary = [*[()] * len(SPECIAL_SYMBOLS), (BLANK, *spell("a")), spell("b")]
    rule = ForbiddenPhrases(["a"], lambda: vocabulary)
    a, b = EOS + 1, EOS + 2

    def allowed_after(*written: int, most: int) -> set[int]:
        request = Request(torch.tensor([3]))
        tokens = torch.tensor([[BOS, *written]])
        following = torch.zeros(1, len(vocabulary))
        rule(following, PartialHypotheses(tokens, torch.tensor([0]), request, torch.tensor([most])))
        return {token for token in (EOS, a, b) if following[0, token] == 0.0}

    assert allowed_after(most=2) == {EOS, a, b}
    assert allowed_after(most=1) == {EOS, b}
    assert allowed_after(a, most=3) == {b}
    assert allowed_after(a, b, most=4) == {EOS, a, b}
    assert allowed_after(a, b, most=3) == {EOS, b}


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_tables_are_made_by_the_first_step_and_moved_no_more(
    random_model, make_search, monkeypatch, name
):
    made, moved = [], []

    def vocabulary() -> list[tuple[int, ...]]:
        made.append(name)
        return spellings(SUBWORDS)

    monkeypatch.setattr(forbidden, "to", lambda *given: moved.append(name) or to(*given))
    model = random_model(EOS + 1 + len(SUBWORDS), seed=3)
    rule = ForbiddenPhrases(["a b"], vocabulary)
    search = make_search(name, Scoring(NoPenalty()), Rules(LIMITS, [rule]))
    assert made == moved == []
    for _ in range(2):
        model.translate(search, [0, 1], [5, 5])
    assert made == moved == [name]
