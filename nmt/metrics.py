"""How good translations are: sacreBLEU's metrics, each a value with the signature to quote.

Post, "A Call for Clarity in Reporting BLEU Scores", 2018: a score without its signature cannot
be compared. All metrics here read raw, detokenized text; sacreBLEU tokenizes by itself.
"""

import operator
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from sacrebleu.metrics.base import Metric as SacrebleuMetric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmt.errors import DataError


@dataclass(frozen=True)
class Score:
    """One figure.

    Attributes:
        name: the metric's name in `METRICS`.
        value: the figure, on the scale on which it is published (0 to 100; TER may exceed it).
        signature: sacreBLEU's account of how it was computed; it belongs beside the value.
    """

    name: str
    value: float
    signature: str


Scorer: TypeAlias = "SacrebleuMetric | _ExactScorer"


class Metric(ABC):
    """A figure for a whole test set, translated line for line."""

    name: ClassVar[str]
    title: ClassVar[str]
    higher_is_better: ClassVar[bool] = True

    @abstractmethod
    def make_scorer(self) -> Scorer:
        """A new sacreBLEU metric (it holds the references while it works, so none is kept)."""

    def __call__(self, hypotheses: Sequence[str], references: Sequence[str]) -> Score:
        """Score translations against one reference each.

        Raises:
            DataError: there is nothing to score, or not one reference for each translation.
        """
        if len(hypotheses) != len(references):
            raise DataError(
                f"{len(hypotheses)} translations but {len(references)} references: "
                "they must correspond line for line"
            )
        if not hypotheses:
            raise DataError("no sentences to score: the test set is empty")
        scorer = self.make_scorer()
        value = float(scorer.corpus_score(list(hypotheses), [list(references)]).score)
        return Score(self.name, value, str(scorer.get_signature()))


class Bleu(Metric):
    """BLEU (Papineni et al. 2002), cased, on sacreBLEU's standard "13a" tokens."""

    name = "bleu"
    title = "BLEU"

    def make_scorer(self) -> SacrebleuMetric:
        """Cased BLEU."""
        # force: no warning about text that ends in " .": corpora such as the toy's are written so.
        return BLEU(force=True)


class LowercasedBleu(Metric):
    """BLEU of lowercased text: how well it is translated where casing does not matter."""

    name = "bleu_lc"
    title = "BLEU lowercased"

    def make_scorer(self) -> SacrebleuMetric:
        """BLEU without case."""
        return BLEU(lowercase=True, force=True)


class Chrf(Metric):
    """chrF2 (Popovic 2015): F-score of character n-grams; kind to rich morphology."""

    name = "chrf"
    title = "chrF"

    def make_scorer(self) -> SacrebleuMetric:
        """The chrF2 of sacreBLEU's defaults: 6-grams of characters, no words."""
        return CHRF()


class Ter(Metric):
    """Translation edit rate (Snover et al. 2006): edits to 100 reference words; low is good."""

    name = "ter"
    title = "TER lowercased"
    higher_is_better = False

    def make_scorer(self) -> SacrebleuMetric:
        """The TER of sacreBLEU's defaults: uncased, as tercom counts."""
        return TER()


class _ExactScorer:
    """Counts lines that are the same, behind the part of sacreBLEU's face that is used here."""

    @dataclass(frozen=True)
    class Result:
        """Percent of the lines."""

        score: float

    def corpus_score(self, hypotheses: list[str], references: list[list[str]]) -> Result:
        """Of lines with one reference each."""
        same = sum(map(operator.eq, map(str.strip, hypotheses), map(str.strip, references[0])))
        return self.Result(100.0 * same / len(hypotheses))

    def get_signature(self) -> str:
        """How it was counted."""
        return "nrefs:1|case:mixed|tok:none|match:line"


class ExactMatch(Metric):
    """Percent of the lines that are their reference, but for blanks around them."""

    name = "exact_match"
    title = "exact match"

    def make_scorer(self) -> Scorer:
        """Counts the lines that are the same."""
        return _ExactScorer()


METRICS: dict[str, type[Metric]] = {
    "bleu": Bleu,
    "bleu_lc": LowercasedBleu,
    "chrf": Chrf,
    "ter": Ter,
    "exact_match": ExactMatch,
}
