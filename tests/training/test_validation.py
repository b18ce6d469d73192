import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from nmt.distributed.process_group import ProcessGroup
from nmt.evaluation.bleu import Bleu
from nmt.evaluation.metric import Score
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.forced_decoding import SentenceScore
from nmt.inference.inputs import no_report, windows
from nmt.inference.translator import NO_EXTRA_OUTPUTS, ExtraOutputs, Translation, Translator
from nmt.search.hypothesis import Hypothesis
from nmt.search.length_penalty import NoPenalty
from nmt.search.request import Request
from nmt.search.rules import LengthLimits, Rules
from nmt.search.search import Scoring, Search, Stepper
from nmt.training.signals import Interrupted, Interruption
from nmt.training.validation import Validation, Validator, translate_lines

PAIRS = [(f"a b c d {n}", f"A B C D {n}") for n in range(1000)]


class Counting(Search):
    """Finds nothing; remembers how many sentences it was asked for."""

    def __init__(self) -> None:
        super().__init__(1, 1, Scoring(NoPenalty()), Rules(LengthLimits()))
        self.seen: list[int] = []

    def __call__(self, model: Any, state: Any, request: Request) -> list[list[Hypothesis]]:
        self.seen.append(len(request.source_lengths))
        return []


@dataclass(frozen=True, eq=False)
class Shouting(Translator):
    """Translates into capitals, finds each word half as probable as not; counts its lines."""

    def translate_windows(
        self,
        lines: Iterable[str],
        extra: ExtraOutputs = NO_EXTRA_OUTPUTS,
        *,
        report: Callable[[int], object] = no_report,
    ) -> Iterator[list[tuple[str, Translation]]]:
        for window in windows(lines, lambda line: 10_000):  # batches of 400
            self.runner.search(
                Stepper(lambda tokens, state: (tokens, state)),
                None,
                Request(torch.ones(len(window), dtype=torch.int64)),
            )
            report(len(window))
            nothing = Hypothesis((), 0.0, 0.0)
            yield [(line, Translation((line.upper(),), (nothing,))) for line in window]

    def score(self, pairs: Iterable[tuple[str, str]]) -> Iterator[SentenceScore]:
        for _, target in pairs:
            words = (*target.split(), "</s>")
            yield SentenceScore(words, (math.log(0.5),) * len(words))


def shouting(search: Search | None = None) -> Shouting:
    none: Any = None
    runner = BatchRunner(none, search or Counting(), none, none, batch_tokens=1)
    return Shouting(runner, none, none, max_source_length=1)


def test_loss_scores_and_samples() -> None:
    validator = Validator(shouting(), PAIRS, [Bleu()], num_samples=4, group=ProcessGroup())
    result = validator(Interruption())
    assert result.loss == pytest.approx(math.log(2))
    assert result.perplexity == pytest.approx(2.0)
    assert result.value("loss") == result.loss
    assert result.value("bleu") == pytest.approx(100.0)
    assert [sample.source for sample in result.samples] == [
        f"a b c d {n}" for n in (0, 250, 500, 750)
    ]
    assert str(result.samples[1]) == (
        "  source: a b c d 250\n  reference: A B C D 250\n  model: A B C D 250"
    )
    assert str(result) == "loss 0.6931, perplexity 2.00, bleu 100.00"


def test_without_metrics_only_the_samples_are_translated() -> None:
    search = Counting()
    result = Validator(shouting(search), PAIRS, [], num_samples=2, group=ProcessGroup())(
        Interruption()
    )
    assert search.seen == [2]
    assert result.scores == []
    assert len(result.samples) == 2


def test_there_may_be_fewer_pairs_than_samples() -> None:
    result = Validator(shouting(), PAIRS[:2], [], num_samples=5, group=ProcessGroup())(
        Interruption()
    )
    assert [sample.source for sample in result.samples] == ["a b c d 0", "a b c d 1"]
    assert (
        Validator(shouting(), PAIRS[:2], [], num_samples=0, group=ProcessGroup())(
            Interruption()
        ).samples
        == []
    )


def test_interruption_happens_between_batches() -> None:
    interruption = Interruption()

    class Interrupting(Counting):
        def __call__(self, step: Any, state: Any, source_lengths: Any) -> list[list[Hypothesis]]:
            interruption.signal = 15
            return super().__call__(step, state, source_lengths)

    search = Interrupting()
    with pytest.raises(Interrupted):
        translate_lines(shouting(search), [source for source, _ in PAIRS], interruption)
    assert search.seen == [400]
    with pytest.raises(Interrupted):
        Validator(shouting(search), PAIRS, [Bleu()], 0, group=ProcessGroup())(interruption)
    assert search.seen == [400]


def test_lines_are_one_stream_so_that_warnings_number_them_right() -> None:
    streams: list[list[Any]] = []

    class Streaming(Shouting):
        def translate_windows(
            self,
            lines: Iterable[str],
            extra: ExtraOutputs = NO_EXTRA_OUTPUTS,
            *,
            report: Callable[[int], object] = no_report,
        ) -> Iterator[list[tuple[str, Translation]]]:
            streams.append(list(lines))
            return super().translate_windows(streams[-1], report=report)

        def score(self, pairs: Iterable[tuple[str, str]]) -> Iterator[SentenceScore]:
            streams.append(list(pairs))
            return super().score(streams[-1])

    plain = shouting()
    none: Any = None
    translator = Streaming(plain.runner, none, none, max_source_length=1)
    Validator(translator, PAIRS, [Bleu()], 0, group=ProcessGroup())(Interruption())
    assert [len(stream) for stream in streams] == [1000, 1000]


def test_a_perplexity_beyond_all_numbers_is_infinite() -> None:
    scores: list[Any] = [Score("bleu", 1.0, "")]
    assert Validation(1e6, scores, []).perplexity == math.inf


def test_translations_are_scored_against_references_and_not_the_other_way_round() -> None:
    pairs = [("a b c d e", "A B C D E F G H")]
    (score,) = Validator(shouting(), pairs, [Bleu()], num_samples=0, group=ProcessGroup())(
        Interruption()
    ).scores
    # All words are right, and the brevity penalty is that of 5 words for 8.
    assert score.value == pytest.approx(100.0 * math.exp(1 - 8 / 5))
