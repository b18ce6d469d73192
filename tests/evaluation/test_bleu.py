import math

import pytest
from sacrebleu.metrics.bleu import BLEU

from nmt.evaluation.bleu import Bleu, LowercasedBleu
from nmt.evaluation.table import METRICS

REFERENCES = ["The cat sits on the mat today.", "A dog sleeps in the old garden."]
CHINESE = ["我不像那样工作。", "应该趁年轻多读点书。"]
NEARLY = ["我不像他那样工作。", "应该年轻时多读点书。"]


def test_only_lowercased_bleu_ignores_case() -> None:
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


def test_tokenized_text_is_scored_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    spaced = ["Tom jagt Jerry ."] * 200
    score = METRICS["bleu"]()(spaced, spaced)
    assert score.value == pytest.approx(100.0)
    assert not caplog.records


def test_bleu_counts_the_words_that_suit_the_references() -> None:
    score = Bleu()(NEARLY, CHINESE)
    assert "tok:zh" in score.signature
    assert score.value == pytest.approx(BLEU(tokenize="zh").corpus_score(NEARLY, [CHINESE]).score)
    assert Bleu(tokenize="13a")(NEARLY, CHINESE).value == 0.0
    assert "tok:zh" in LowercasedBleu()(NEARLY, CHINESE).signature
    assert "tok:13a" in Bleu()(CHINESE, ["One.", "Two."]).signature, "the references decide"
    thai = ["ฉันรักคุณ"]
    assert "tok:char" in Bleu()(thai, thai).signature
