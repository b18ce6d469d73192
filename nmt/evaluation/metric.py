"""Base classes of metrics: a score for a test set, with the signature to quote.

A score without its signature cannot be compared (Post 2018, "A Call for Clarity in Reporting BLEU
Scores"). All metrics read raw, detokenized text; those of sacreBLEU tokenize it themselves.

Hypotheses and references are compared in NFC, so canonically equivalent text (Unicode Standard
Annex 15) scores as equal.
"""

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Final

from sacrebleu.metrics.base import Metric as SacrebleuScorer
from sacrebleu.significance import PairedTest

from nmt.core.errors import DataError

# Resamples of the paired bootstrap (Koehn 2004).
NUM_RESAMPLES: Final = 1_000
_COMPOSED: Final = "|norm:nfc"  # at the end of a signature


@dataclass(frozen=True)
class Score:
    """One score of a metric.

    Attributes:
        name: the metric's label: its name in `METRICS`, or the one given by `as`.
        value: the score, on its published scale (0 to 100; TER may exceed 100).
        signature: how it was computed, in sacreBLEU's notation; quote it with the value.
    """

    name: str
    value: float
    signature: str


@dataclass(eq=False)
class Metric(ABC):
    """A corpus-level score of translations, which correspond to the references line by line.

    Args:
        label: name of its scores; empty: the name of the metric.
    """

    name: ClassVar[str]
    title = ""
    higher_is_better: ClassVar[bool] = True
    ignores_case = False
    label: str = ""

    def __post_init__(self) -> None:
        self.label = self.label or self.name

    def describe(self) -> str:
        """Return the name to display: the label if one was given, else the title."""
        if self.label != self.name:
            return self.label
        return f"{self.title} lowercased" if self.ignores_case else self.title

    def __call__(self, hypotheses: Sequence[str], *references: Sequence[str]) -> Score:
        """Score translations against one or several references each.

        Args:
            hypotheses: the translations.
            references: one or more sets of references, each with one line per translation.

        Raises:
            DataError: there is nothing to score, or a set does not have one reference for each
                translation.
        """
        assert references, "a metric needs at least one set of references"
        for lines in references:
            if len(hypotheses) != len(lines):
                raise DataError(
                    f"references: {len(lines)} lines for {len(hypotheses)} translations; they must "
                    "correspond line by line"
                )
        if not hypotheses:
            raise DataError("test set: must not be empty; give at least one sentence")
        given = [hypotheses, *references]
        composed = [to_nfc(lines) for lines in given]
        score = self._score(composed[0], composed[1:])
        if any(list(lines) != same for lines, same in zip(given, composed, strict=True)):
            score = replace(score, signature=score.signature + _COMPOSED)
        return score

    @abstractmethod
    def p_value(
        self, baseline: Sequence[str], hypotheses: Sequence[str], *references: Sequence[str]
    ) -> float:
        """Return the p-value of the difference in score between two systems.

        Args:
            baseline: translations of one system.
            hypotheses: translations of the other system.
            references: one or more sets of references, each with one line per translation.
        """

    @abstractmethod
    def _score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        """Score one or more translations against sets of equally many references, all in NFC."""


class SacrebleuMetric(Metric):
    """A metric that a scorer of sacreBLEU computes; its options are those of the scorer.

    Attributes:
        scorer: class of the scorer.
        unsigned: options with other values than the default that sacreBLEU leaves out of its
            signatures.
    """

    scorer: ClassVar[Callable[..., SacrebleuScorer]]
    unsigned: Mapping[str, int] = {}

    def make_scorer(self, references: Iterable[str]) -> SacrebleuScorer:
        """Return a new scorer; none is kept, because a scorer holds the references in memory.

        Args:
            references: the references to score against, for options that depend on them.
        """
        return type(self).scorer(**self.options())

    def options(self) -> dict[str, Any]:
        """Return the options of the metric, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.kw_only}

    def _signature(self, scorer: SacrebleuScorer) -> str:
        """Return the signature of a scorer after it has scored."""
        signature = scorer.get_signature()
        for key, value in self.unsigned.items():
            signature.update(key, value)
        return str(signature)

    def _score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        scorer = self.make_scorer(line for lines in references for line in lines)
        value = float(scorer.corpus_score(list(hypotheses), list(map(list, references))).score)
        return Score(self.label, value, self._signature(scorer))

    def p_value(
        self, baseline: Sequence[str], hypotheses: Sequence[str], *references: Sequence[str]
    ) -> float:
        """Return the p-value of the paired bootstrap (Koehn 2004)."""
        sets = list(map(to_nfc, references))
        test = PairedTest(
            [("baseline", to_nfc(baseline)), ("system", to_nfc(hypotheses))],
            {self.name: self.make_scorer(line for lines in sets for line in lines)},
            sets,
            test_type="bs",
            n_samples=NUM_RESAMPLES,
        )
        found: dict[str, list[Any]] = test()[1]
        (results,) = (results for key, results in found.items() if key != "System")
        return float(results[1].p_value)


def to_nfc(lines: Iterable[str]) -> list[str]:
    """Return lines in NFC, the same form for all canonically equivalent texts."""
    return [unicodedata.normalize("NFC", line) for line in lines]
