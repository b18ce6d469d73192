import math
import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from nmt.text.subword_sampling import MergeDropout, UnigramSampler, merge

# Learnt in this order: undisturbed, "abcd" becomes ab c d, then abc d.
RANKS = {"ab": 0.0, "bc": 1.0, "abc": 2.0, "cd": 3.0}
PROBABILITIES = {"a": 0.4, "b": 0.3, "ab": 0.2, "c": 0.1}
SCORES = {piece: math.log(probability) for piece, probability in PROBABILITIES.items()}
DRAWS = 20_000


def keep_by(answers):
    """Keep and drop merges in this order, and keep the rest."""
    remaining = list(answers)
    return lambda: remaining.pop(0) if remaining else True


def draw(sampler, word):
    rng = random.Random(1)
    counts = Counter(" ".join(sampler(word, rng)) for _ in range(DRAWS))
    return {pieces: count / DRAWS for pieces, count in counts.items()}


def close(expected):
    """Four standard deviations of what was drawn, at most."""
    return {key: pytest.approx(value, abs=4 * 0.5 / DRAWS**0.5) for key, value in expected.items()}


@pytest.mark.parametrize(
    ("kept", "pieces", "num_merges"),
    [
        ([], "abc d", 2),
        ([False], "abc d", 2),  # not ab but bc, and then a and bc
        ([False, True, False], "a bc d", 1),
        ([True, False], "ab cd", 2),  # ab, not abc but cd
        ([False, False], "ab cd", 2),  # neither ab nor bc but cd, after which ab is asked again
        ([False, False, False], "a b c d", 0),
    ],
)
def test_merges_by_hand(kept, pieces, num_merges):
    assert merge("abcd", RANKS, keep_by(kept)) == (pieces.split(), num_merges)


def test_of_equal_merges_the_leftmost_is_first():
    assert merge("aaa", {"aa": 0.0}, keep_by([])) == (["aa", "a"], 1)
    assert merge("aaa", {"aa": 0.0}, keep_by([False])) == (["a", "aa"], 1)


@pytest.mark.parametrize("word", ["", "x", "xyz"])
def test_pieces_without_merges_stay_apart(word):
    assert merge(word, RANKS, keep_by([])) == (list(word), 0)


@given(st.text("abcd", max_size=30), st.lists(st.booleans()), st.integers(0, 2**32))
def test_pieces_make_up_the_word(word, kept, seed):
    pieces, num_merges = merge(word, RANKS, keep_by(kept))
    assert "".join(pieces) == word
    assert len(pieces) == len(word) - num_merges
    for sampler in MergeDropout(RANKS, 0.3), UnigramSampler(SCORES, 0.3):
        assert "".join(sampler(word, random.Random(seed))) == word


def dropped_to_the_letter(word, probability, rng):
    """Algorithm 1 of Provilkov et al. (2020), as it is printed."""
    pieces = list(word)
    while True:
        merges = [
            (RANKS[left + right], at)
            for at, (left, right) in enumerate(pairwise(pieces))
            if left + right in RANKS and rng.random() >= probability
        ]
        if not merges:
            return pieces
        _, at = min(merges)
        pieces[at : at + 2] = ["".join(pieces[at : at + 2])]


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_merges_are_dropped_as_often_as_in_the_paper(probability):
    drawn = draw(MergeDropout(RANKS, probability), "abcd")
    paper = draw(lambda word, rng: dropped_to_the_letter(word, probability, rng), "abcd")
    every = dict.fromkeys(drawn | paper, 0.0)
    assert every | drawn == close(every | paper)
    assert drawn["a b c d"] == pytest.approx(probability**3, abs=0.015)


def test_splits_are_drawn_with_their_probability():
    # P(ab c) = 0.2 * 0.1 and P(a b c) = 0.4 * 0.3 * 0.1: 0.020 to 0.012.
    assert draw(UnigramSampler(SCORES, 1.0), "abc") == close({"ab c": 0.625, "a b c": 0.375})
    share = 0.02**0.5 / (0.02**0.5 + 0.012**0.5)
    drawn = draw(UnigramSampler(SCORES, 0.5), "abc")
    assert drawn == close({"ab c": share, "a b c": 1 - share})


def test_a_large_exponent_draws_the_best_split():
    assert draw(UnigramSampler(SCORES, 100.0), "abcab") == {"ab c ab": 1.0}


def test_unknown_characters_are_single_and_cost_nothing():
    assert draw(UnigramSampler(SCORES, 1.0), "xab") == close({"x ab": 0.625, "x a b": 0.375})


@pytest.mark.parametrize("sampler", [MergeDropout(RANKS, 0.3), UnigramSampler(SCORES, 0.3)])
def test_samples_depend_only_on_the_generator(sampler):
    def sample():
        rng = random.Random(5)
        return [sampler("abcdabcd", rng) for _ in range(20)]

    assert sample() == sample()
    assert len({tuple(pieces) for pieces in sample()}) > 1
