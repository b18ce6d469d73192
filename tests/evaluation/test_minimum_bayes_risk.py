"""Minimum Bayes risk against sacreBLEU, sentence by sentence."""

import math
import random
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from nmt.evaluation.minimum_bayes_risk import (
    UTILITIES,
    BleuUtility,
    ChrfUtility,
    Matrix,
    MinimumBayesRisk,
    expected_utilities,
)

WORDS = ["Hund", "Katze", "rot", "blau", "sieht", "den", "die", "Haus,", "1.5", "Bäume", "."]


def random_texts(seed: int) -> list[str]:
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(0, 9))) for _ in range(8)]
    return [*texts, "", "a", "Hund", texts[0]]


@pytest.mark.parametrize("seed", range(5))
def test_chrf_is_that_of_sacrebleu(seed: int) -> None:
    texts, scorer = random_texts(seed), CHRF()
    expected = [[scorer.sentence_score(one, [two]).score for two in texts] for one in texts]
    assert np.allclose(ChrfUtility()(texts), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_bleu_is_that_of_sacrebleu(seed: int) -> None:
    texts, scorer = random_texts(seed), BLEU(effective_order=True)
    expected = [[scorer.sentence_score(one, [two]).score for two in texts] for one in texts]
    assert np.allclose(BleuUtility()(texts), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", UTILITIES)
def test_expected_utility_is_the_mean(name: str) -> None:
    texts, utility = random_texts(7), UTILITIES[name]()
    weights = [(place + 1) / 78 for place in range(12)]
    matrix = utility(texts)
    expected = [
        sum(weight * matrix[i, j] for j, weight in enumerate(weights)) for i in range(len(texts))
    ]
    assert expected_utilities(texts, weights, utility) == pytest.approx(expected)


def test_bleu_counts_the_words_of_the_tokenizer() -> None:
    texts = ["我不像那样工作。", "我不像他那样工作。", "应该多读书。"]
    for tokenizer in ("auto", "zh", "char", "13a"):
        scorer = BLEU(effective_order=True, tokenize="zh" if tokenizer == "auto" else tokenizer)
        expected = [[scorer.sentence_score(one, [two]).score for two in texts] for one in texts]
        assert np.allclose(BleuUtility(tokenizer)(texts), expected, rtol=0, atol=1e-9)
    assert BleuUtility("zh")(texts)[0, 1] > 50 > BleuUtility("13a")(texts)[0, 1]


@pytest.mark.parametrize("name", UTILITIES)
def test_canonically_equal_candidates_are_one(name: str) -> None:
    texts = ["tôi đọc sách", "nó đọc báo"]
    texts = [texts[0], *(unicodedata.normalize("NFD", text) for text in texts)]
    choose = MinimumBayesRisk(UTILITIES[name](), 3, are_samples=True)
    (first, worth), (second, _) = choose(texts, [0.0, 0.0, 0.0])
    assert (first, second) == (0, 2), "no two of them have canonically equal texts"
    assert worth > 200 / 3, "each of the two counts for both"


def test_candidate_most_similar_to_the_others_is_chosen() -> None:
    texts = ["ein roter Hund", "ein roter Hund läuft", "roter Hund läuft", "etwas anderes"]
    worth = expected_utilities(texts, [0.25] * 4, ChrfUtility())
    assert worth.index(max(worth)) == 1
    assert worth.index(min(worth)) == 3


def by_length(texts: Sequence[str]) -> Matrix:
    """One minus the difference of two lengths: so that a mean can be had by hand."""
    lengths = np.array([len(text) for text in texts], float)
    return 1.0 - np.abs(lengths[:, None] - lengths[None, :])


def choose(
    texts: list[str], log_probabilities: list[float], *, n_best: int = 9, are_samples: bool
) -> list[tuple[int, float]]:
    utility: Any = by_length
    chooser = MinimumBayesRisk(utility, n_best, are_samples=are_samples)
    return chooser(texts, log_probabilities)


def test_candidates_of_a_beam_count_by_their_probabilities() -> None:
    """Which are 1/2, 1/4 and 1/4 after normalising."""
    logarithms = [math.log(share) - 3.0 for share in (0.2, 0.1, 0.1)]
    found = choose(["dddd", "bb", "a"], logarithms[::-1], are_samples=False)
    # a: 1/2 + 0/4 - 2/4; bb: 0/2 + 1/4 - 1/4; dddd: -2/2 - 1/4 + 1/4; of equals the first.
    assert sorted(place for place, _ in found[:2]) == [1, 2] and found[2][0] == 0
    assert [worth for _, worth in found] == pytest.approx([0.0, 0.0, -1.0], abs=1e-12)


def test_samples_count_as_often_as_they_were_drawn() -> None:
    texts = ["a", "bb", "a", "dddd"]
    found = choose(texts, [-9.0, -0.1, -9.0, -0.1], are_samples=True)
    # a: 2/4 + 0 - 2/4; bb: 0 + 1/4 - 1/4; dddd: (-2 - 2 - 1 + 1) / 4; each text once, the first.
    assert [place for place, _ in found] == [0, 1, 3]
    assert [worth for _, worth in found] == pytest.approx([0.0, 0.0, -1.0])
    assert choose(texts, [0.0] * 4, n_best=2, are_samples=True) == found[:2]
