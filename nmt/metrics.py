"""How good translations are: each metric gives a value with the signature to quote.

Post, "A Call for Clarity in Reporting BLEU Scores", 2018: a score without its signature cannot
be compared. All metrics here read raw, detokenized text; those of sacreBLEU tokenize it by
themselves.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from sacrebleu.metrics.base import Metric as SacrebleuScorer
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
        signature: how it was computed, in sacreBLEU's notation; it belongs beside the value.
    """

    name: str
    value: float
    signature: str


class Metric(ABC):
    """A figure for a whole test set, translated line for line."""

    name: ClassVar[str]
    title: ClassVar[str]
    higher_is_better: ClassVar[bool] = True

    def __call__(self, hypotheses: Sequence[str], *references: Sequence[str]) -> Score:
        """Score translations against one reference each, or several.

        Args:
            hypotheses: the translations.
            references: one set of references, a line for each translation, or more such sets.

        Raises:
            DataError: there is nothing to score, or not one reference of each set for each
                translation.
        """
        assert references, "a metric compares with at least one set of references"
        for lines in references:
            if len(hypotheses) != len(lines):
                raise DataError(
                    f"{len(hypotheses)} translations but {len(lines)} references: "
                    "they must correspond line for line"
                )
        if not hypotheses:
            raise DataError("no sentences to score: the test set is empty")
        return self._score(hypotheses, references)

    @abstractmethod
    def _score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        """Score at least one translation against sets of as many references."""


class SacrebleuMetric(Metric):
    """A metric that sacreBLEU computes."""

    @abstractmethod
    def make_scorer(self) -> SacrebleuScorer:
        """A new sacreBLEU metric (it holds the references while it works, so none is kept)."""

    def _score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        scorer = self.make_scorer()
        value = float(scorer.corpus_score(list(hypotheses), list(map(list, references))).score)
        return Score(self.name, value, str(scorer.get_signature()))


class Bleu(SacrebleuMetric):
    """BLEU (Papineni et al. 2002), cased, on sacreBLEU's standard "13a" tokens."""

    name = "bleu"
    title = "BLEU"

    def make_scorer(self) -> SacrebleuScorer:
        """Cased BLEU."""
        # force: no warning about text that ends in " .": corpora such as the toy's are written so.
        return BLEU(force=True)


class LowercasedBleu(SacrebleuMetric):
    """BLEU of lowercased text: how well it is translated where casing does not matter."""

    name = "bleu_lc"
    title = "BLEU lowercased"

    def make_scorer(self) -> SacrebleuScorer:
        """BLEU without case."""
        return BLEU(lowercase=True, force=True)


class Chrf(SacrebleuMetric):
    """chrF2 (Popovic 2015): F-score of character n-grams; kind to rich morphology."""

    name = "chrf"
    title = "chrF"

    def make_scorer(self) -> SacrebleuScorer:
        """The chrF2 of sacreBLEU's defaults: 6-grams of characters, no words."""
        return CHRF()


class Ter(SacrebleuMetric):
    """Translation edit rate (Snover et al. 2006): edits to 100 reference words; low is good."""

    name = "ter"
    title = "TER lowercased"
    higher_is_better = False

    def make_scorer(self) -> SacrebleuScorer:
        """The TER of sacreBLEU's defaults: uncased, as tercom counts."""
        return TER()


# The version is of this way to count; sacreBLEU has no part in it.
_EXACT_SIGNATURE: Final = "nrefs:{}|case:mixed|tok:none|match:line|version:1"


class ExactMatch(Metric):
    """Percent of the lines that equal a reference, apart from white space around them."""

    name = "exact_match"
    title = "exact match"

    def _score(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        same = sum(
            any(hypothesis.strip() == reference.strip() for reference in allowed)
            for hypothesis, *allowed in zip(hypotheses, *references, strict=True)
        )
        signature = _EXACT_SIGNATURE.format(len(references))
        return Score(self.name, 100.0 * same / len(hypotheses), signature)


METRICS: dict[str, type[Metric]] = {
    "bleu": Bleu,
    "bleu_lc": LowercasedBleu,
    "chrf": Chrf,
    "ter": Ter,
    "exact_match": ExactMatch,
}
