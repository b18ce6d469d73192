import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from nmt.metrics import Bleu, Score
from nmt.search.hypothesis import Hypothesis
from nmt.teacher_forcing import SentenceScore
from nmt.training.signals import Interrupted, Interruption
from nmt.training.validation import Validation, Validator, translate_lines
from nmt.translation import Translation, Translator

PAIRS = [(f"a b c d {n}", f"A B C D {n}") for n in range(1000)]


@dataclass(frozen=True, eq=False, init=False)
class Shouting(Translator):
    """Translates into capitals, finds each word half as probable as not; remembers its input."""

    seen: list[int]

    def __init__(self) -> None:
        object.__setattr__(self, "seen", [])

    def translate(
        self, lines: Sequence[str], *, with_alignments: bool = False
    ) -> list[Translation]:
        self.seen.append(len(lines))
        return [Translation((line.upper(),), (Hypothesis((), 0.0, 0.0),)) for line in lines]

    def score(self, pairs: Iterable[tuple[str, str]]) -> Iterator[SentenceScore]:
        for _, target in pairs:
            words = (*target.split(), "</s>")
            yield SentenceScore(words, (math.log(0.5),) * len(words))


def test_loss_scores_and_samples() -> None:
    validator = Validator(Shouting(), PAIRS, [Bleu()], num_samples=4)
    result = validator(Interruption())
    assert result.loss == pytest.approx(math.log(2))
    assert result.perplexity == pytest.approx(2.0)
    assert result.value("loss") == result.loss
    assert result.value("bleu") == pytest.approx(100.0)
    assert [sample.source for sample in result.samples] == [
        f"a b c d {n}" for n in (0, 250, 500, 750)
    ]
    assert str(result.samples[1]) == (
        "  source: a b c d 250\n  reference: A B C D 250\n  now: A B C D 250"
    )
    assert str(result) == "loss 0.6931, perplexity 2.00, bleu 100.00"


def test_without_metrics_only_the_samples_are_translated() -> None:
    translator = Shouting()
    result = Validator(translator, PAIRS, [], num_samples=2)(Interruption())
    assert translator.seen == [2]
    assert result.scores == []
    assert len(result.samples) == 2


def test_there_may_be_fewer_pairs_than_samples() -> None:
    result = Validator(Shouting(), PAIRS[:2], [], num_samples=5)(Interruption())
    assert [sample.source for sample in result.samples] == ["a b c d 0", "a b c d 1"]
    assert Validator(Shouting(), PAIRS[:2], [], num_samples=0)(Interruption()).samples == []


def test_it_is_broken_off_soon_after_a_signal() -> None:
    interruption = Interruption()
    interruption.signal = 15
    translator = Shouting()
    with pytest.raises(Interrupted):
        translate_lines(translator, [source for source, _ in PAIRS], interruption)
    assert len(translator.seen) == 1
    with pytest.raises(Interrupted):
        Validator(translator, PAIRS, [Bleu()], 0)(interruption)
    assert len(translator.seen) == 1


def test_a_perplexity_beyond_all_numbers_is_infinite() -> None:
    scores: list[Any] = [Score("bleu", 1.0, "")]
    assert Validation(1e6, scores, []).perplexity == math.inf
