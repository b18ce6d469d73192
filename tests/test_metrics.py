import math

import pytest

from nmt.errors import DataError
from nmt.metrics import METRICS

REFERENCES = ["The cat sits on the mat today.", "A dog sleeps in the old garden."]
WORSE = ["The cat sat on a mat today.", "One dog is asleep in the garden."]


@pytest.mark.parametrize("name", METRICS)
def test_the_references_themselves_score_best(name: str) -> None:
    metric = METRICS[name]()
    perfect, worse = metric(REFERENCES, REFERENCES), metric(WORSE, REFERENCES)
    assert perfect.value == pytest.approx(100.0 if metric.higher_is_better else 0.0)
    assert (worse.value < perfect.value) == metric.higher_is_better


@pytest.mark.parametrize("name", METRICS)
def test_a_score_carries_its_name_and_signature(name: str) -> None:
    score = METRICS[name]()(WORSE, REFERENCES)
    assert score.name == name == METRICS[name].name
    assert "version:" in score.signature
    assert "nrefs:1" in score.signature


def test_only_lowercased_bleu_is_blind_to_case() -> None:
    shouted = [line.upper() for line in REFERENCES]
    assert METRICS["bleu_lc"]()(shouted, REFERENCES).value == pytest.approx(100.0)
    assert METRICS["bleu"]()(shouted, REFERENCES).value < 50.0
    assert "case:lc" in METRICS["bleu_lc"]()(shouted, REFERENCES).signature
    assert "case:mixed" in METRICS["bleu"]()(shouted, REFERENCES).signature


def test_bleu_by_hand() -> None:
    # Of the hypothesis' n-grams 4 of 5, 3 of 4, 2 of 3 and 1 of 2 are in the reference, which is
    # one word longer: BLEU = exp(1 - 6/5) * (4/5 * 3/4 * 2/3 * 1/2) ** (1/4).
    score = METRICS["bleu"]()(["a b c d x"], ["a b c d e f"])
    assert score.value == pytest.approx(100 * math.exp(1 - 6 / 5) * (1 / 5) ** 0.25)


def test_ter_by_hand() -> None:
    # One word of four is replaced.
    assert METRICS["ter"]()(["a b c x"], ["a b c d"]).value == pytest.approx(25.0)


def test_exact_match_by_hand() -> None:
    # The first and the fourth of four are their references; case, marks and inner blanks count.
    references = ["a red dot", "A dog .", "b c", "x"]
    score = METRICS["exact_match"]()([" a red dot\n", "a dog .", "b  c", "x"], references)
    assert score.value == 50.0
    assert METRICS["exact_match"]()(["a", "b", "c"], ["a", "x", "y"]).value == pytest.approx(
        100 / 3
    )


def test_exact_match_takes_lines_as_they_are() -> None:
    assert METRICS["exact_match"]()(["", "a"], ["", "b"]).value == 50.0


@pytest.mark.parametrize("name", METRICS)
def test_each_line_may_match_any_of_several_references(name: str) -> None:
    metric = METRICS[name]()
    # Each set has the right reference for one line only; against both sets both lines are right.
    first, second = [REFERENCES[0], "No."], ["No.", REFERENCES[1]]
    score = metric(REFERENCES, first, second)
    assert score.value == pytest.approx(100.0 if metric.higher_is_better else 0.0)
    assert "nrefs:2" in score.signature
    with pytest.raises(DataError, match="2 translations but 1 references"):
        metric(REFERENCES, first, ["No."])


def test_exact_match_against_two_references_by_hand() -> None:
    score = METRICS["exact_match"]()(
        ["a", "b", "c", "d"], ["a", "x", "x", "x"], ["y", "b ", "y", "y"]
    )
    assert score.value == 50.0


@pytest.mark.parametrize("name", METRICS)
def test_an_empty_translation_is_scored(name: str) -> None:
    assert math.isfinite(METRICS[name]()(["", ""], REFERENCES).value)


@pytest.mark.parametrize("name", METRICS)
def test_nothing_to_score_is_an_error(name: str) -> None:
    with pytest.raises(DataError, match="no sentences to score: the test set is empty"):
        METRICS[name]()([], [])


@pytest.mark.parametrize("name", METRICS)
def test_other_numbers_of_lines_are_an_error(name: str) -> None:
    with pytest.raises(DataError, match="1 translations but 2 references"):
        METRICS[name]()(["a"], REFERENCES)


def test_text_that_is_spaced_before_its_full_stops_is_scored_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spaced = ["Tom jagt Jerry ."] * 200
    score = METRICS["bleu"]()(spaced, spaced)
    assert score.value == pytest.approx(100.0)
    assert not caplog.records


def test_a_title_says_what_the_signature_says_of_case() -> None:
    for name, metric in METRICS.items():
        lowercased = "case:lc" in metric()(["a"], ["a"]).signature
        assert ("lowercased" in metric.title) == lowercased, name
