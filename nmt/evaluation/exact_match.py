"""Exact match: the percentage of lines that equal a reference."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sacrebleu.metrics.base import Metric as SacrebleuScorer, Score as SacrebleuScore

from nmt.evaluation.metric import SacrebleuMetric

# The version is that of this metric, not of sacreBLEU.
_SIGNATURE: Final = "nrefs:{}|case:mixed|tok:none|match:line|version:1"


class ExactMatch(SacrebleuMetric):
    """Percentage of lines that equal a reference, ignoring white space around them."""

    name = "exact_match"
    title = "exact match"

    def make_scorer(self, references: Iterable[str]) -> SacrebleuScorer:
        """See `SacrebleuMetric.make_scorer`."""
        return _ExactMatchScorer()  # type: ignore[no-untyped-call]

    def _signature(self, scorer: SacrebleuScorer) -> str:
        return _SIGNATURE.format(scorer.num_refs)


class _ExactMatchScorer(SacrebleuScorer):
    """Exact match as a sacreBLEU scorer; the statistics of a line are matches (0 or 1) and 1."""

    def _preprocess_segment(self, sent: str) -> str:
        return sent.strip()

    def _extract_reference_info(self, refs: Sequence[str]) -> dict[str, Any]:
        return {"allowed": set(refs)}

    def _compute_segment_statistics(self, hypothesis: str, ref_kwargs: dict[str, Any]) -> list[int]:
        return [int(hypothesis in ref_kwargs["allowed"]), 1]

    def _compute_score_from_stats(self, stats: list[Any]) -> SacrebleuScore:
        return SacrebleuScore("exact match", float(100 * stats[0] / stats[1]))

    def _aggregate_and_compute(self, stats: list[list[Any]]) -> SacrebleuScore:
        return self._compute_score_from_stats([sum(column) for column in zip(*stats, strict=True)])
