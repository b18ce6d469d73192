"""Minimum Bayes risk against sacreBLEU, sentence by sentence."""

import random

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from nmt.minimum_bayes_risk import UTILITIES, BleuUtility, ChrfUtility, expected_utilities

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
def test_what_is_expected_is_the_mean_against_all(name: str) -> None:
    texts, utility = random_texts(7), UTILITIES[name]()
    weights = [(place + 1) / 78 for place in range(12)]
    matrix = utility(texts)
    expected = [
        sum(weight * matrix[i, j] for j, weight in enumerate(weights)) for i in range(len(texts))
    ]
    assert expected_utilities(texts, weights, utility) == pytest.approx(expected)


def test_the_middle_is_worth_most() -> None:
    texts = ["ein roter Hund", "ein roter Hund läuft", "roter Hund läuft", "etwas anderes"]
    worth = expected_utilities(texts, [0.25] * 4, ChrfUtility())
    assert worth.index(max(worth)) == 1
    assert worth.index(min(worth)) == 3
