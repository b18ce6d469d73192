import math

import pytest
import sacrebleu

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


VERSION = f"version:{sacrebleu.__version__}"
SIGNATURES = {
    "bleu": f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|{VERSION}",
    "bleu_lc": f"nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|{VERSION}",
    "chrf": f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|{VERSION}",
    "ter": f"nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|{VERSION}",
    "exact_match": "nrefs:1|case:mixed|tok:none|match:line|version:1",
}


@pytest.mark.parametrize("name", METRICS)
def test_a_score_carries_its_name_and_whole_signature(name: str) -> None:
    score = METRICS[name]()(WORSE, REFERENCES)
    assert score.name == name == METRICS[name].name
    assert score.signature == SIGNATURES[name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bleu", 100.0),  # 13a sets a full stop apart, and compares four tokens with four
        ("bleu_lc", 100.0),
        ("chrf", 100.0),  # spaces do not count
        ("ter", 100 * 2 / 4),  # tercom does not: a word is replaced, and another inserted
        ("exact_match", 0.0),
    ],
)
def test_a_full_stop_that_is_set_apart(name: str, value: float) -> None:
    assert METRICS[name]()(["a cat sat."], ["a cat sat ."]).value == pytest.approx(value)


def test_bleu_of_three_tokens_has_no_4_grams() -> None:
    assert METRICS["bleu"]()(["a cat."], ["a cat ."]).value == 0.0
    assert METRICS["chrf"]()(["a cat."], ["a cat ."]).value == pytest.approx(100.0)
    assert METRICS["ter"]()(["a cat."], ["a cat ."]).value == pytest.approx(100 * 2 / 3)


def test_chrf_by_hand() -> None:
    # Half of the characters and none of the bigrams, on both sides; words do not count.
    assert METRICS["chrf"]()(["ab"], ["ac"]).value == pytest.approx(100 * (1 / 2 + 0) / 2)
    # Precision 1, recall 1/2, which counts twice: F2 = 5 P R / (4 P + R).
    assert METRICS["chrf"]()(["a"], ["ab"]).value == pytest.approx(100 * 2.5 / 4.5)


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
