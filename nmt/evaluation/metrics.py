"""How good translations are: the metrics that a run can be measured with.

Post, "A Call for Clarity in Reporting BLEU Scores", 2018: a score without its signature cannot
be compared. All metrics here read raw, detokenized text; those of sacreBLEU tokenize it by
themselves.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal

from annotated_types import Ge
from sacrebleu.metrics.base import Metric as SacrebleuScorer, Score as SacrebleuScore
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest

from nmt.evaluation.bleu_tokenizers import AUTO, load_tokenizer, resolve_tokenizer
from nmt.evaluation.metric_base import Metric, Score, to_nfc

BleuTokenizer = Literal["auto", "13a", "intl", "char", "zh", "ja-mecab", "ko-mecab", "none"]

NUM_RESAMPLES: Final = 1_000
"""Resamples of the paired bootstrap (Koehn 2004)."""


class SacrebleuMetric(Metric):
    """A metric that a scorer of sacreBLEU computes."""

    unsigned: Mapping[str, int] = {}
    """Options that sacreBLEU leaves out of its signatures, where they are not the default."""
    _make: Callable[..., SacrebleuScorer]

    def make_scorer(self, references: Iterable[str]) -> SacrebleuScorer:
        """Return a new scorer (it holds the references while it works, so none is kept).

        Args:
            references: what it is going to score against, for options that depend on them.
        """
        return self._make()

    def _signature(self, scorer: SacrebleuScorer) -> str:
        """Return the signature of a scorer that has scored."""
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


class Bleu(SacrebleuMetric):
    """BLEU (Papineni et al. 2002): precision of word n-grams.

    Args:
        tokenize: what it counts as words; auto: zh for Chinese, char for other scripts without
            spaces, 13a otherwise. In training, the references of validation decide once.
        lowercase: ignore case.
        smooth_method: what stands for precisions of 0.
        smooth_value: of floor and add-k; null: sacreBLEU's default.
        max_ngram_order: words in the longest n-gram.
        effective_order: leave out orders that the text is too short for.
    """

    name = "bleu"
    title = "BLEU"

    def __init__(
        self,
        label: str | None = None,
        *,
        tokenize: BleuTokenizer = "auto",
        lowercase: bool = False,
        smooth_method: Literal["exp", "floor", "add-k", "none"] = "exp",
        smooth_value: Annotated[float, Ge(0.0)] | None = None,
        max_ngram_order: Annotated[int, Ge(1)] = 4,
        effective_order: bool = False,
    ) -> None:
        super().__init__(label)
        if tokenize != AUTO:
            load_tokenizer(tokenize)  # complain before the work, not after it
        self.tokenize: Final = tokenize
        self.ignores_case = lowercase
        self.unsigned = {} if max_ngram_order == 4 else {"order": max_ngram_order}
        # force: no warning about text that ends in " .": corpora such as the toy's are written so.
        self._make = partial(
            BLEU,
            force=True,
            lowercase=lowercase,
            smooth_method=smooth_method,
            smooth_value=smooth_value,
            max_ngram_order=max_ngram_order,
            effective_order=effective_order,
        )

    def make_scorer(self, references: Iterable[str]) -> SacrebleuScorer:
        """See `SacrebleuMetric.make_scorer`."""
        return self._make(tokenize=resolve_tokenizer(self.tokenize, references))


class LowercasedBleu(Bleu):
    """BLEU of lowercased text, short for bleu with lowercase: true.

    Args:
        tokenize: as of bleu.
    """

    name = "bleu_lc"

    def __init__(
        self,
        label: str | None = None,
        *,
        tokenize: BleuTokenizer = "auto",
    ) -> None:
        super().__init__(label, tokenize=tokenize, lowercase=True)


class Chrf(SacrebleuMetric):
    """chrF (Popovic 2015): F-score of character n-grams; kind to rich morphology.

    Args:
        char_order: characters in the longest n-gram.
        word_order: words in the longest n-gram of words; 2: chrF++; 0: characters only.
        beta: how many times as much recall counts as precision.
        lowercase: ignore case.
        whitespace: count spaces as characters.
        eps_smoothing: smooth as chrF++.py does, where sacreBLEU leaves out empty orders.
    """

    name = "chrf"

    def __init__(
        self,
        label: str | None = None,
        *,
        char_order: Annotated[int, Ge(1)] = 6,
        word_order: Annotated[int, Ge(0)] = 0,
        beta: Annotated[int, Ge(1)] = 2,
        lowercase: bool = False,
        whitespace: bool = False,
        eps_smoothing: bool = False,
    ) -> None:
        super().__init__(label)
        self.title = "chrF" + "+" * word_order
        self.ignores_case = lowercase
        self.unsigned = {} if beta == 2 else {"beta": beta}
        self._make = partial(
            CHRF,
            char_order=char_order,
            word_order=word_order,
            beta=beta,
            lowercase=lowercase,
            whitespace=whitespace,
            eps_smoothing=eps_smoothing,
        )


class Ter(SacrebleuMetric):
    """Translation edit rate (Snover et al. 2006): edits to 100 reference words; low is good.

    Args:
        normalized: split off punctuation first, as tercom does.
        no_punct: leave out punctuation.
        asian_support: with normalized or no_punct, treat CJK characters and punctuation as such.
        case_sensitive: tell case apart.
    """

    name = "ter"
    title = "TER"
    higher_is_better = False

    def __init__(
        self,
        label: str | None = None,
        *,
        normalized: bool = False,
        no_punct: bool = False,
        asian_support: bool = False,
        case_sensitive: bool = False,
    ) -> None:
        super().__init__(label)
        self.ignores_case = not case_sensitive
        self._make = partial(
            TER,
            normalized=normalized,
            no_punct=no_punct,
            asian_support=asian_support,
            case_sensitive=case_sensitive,
        )


# The version is of this way to count; sacreBLEU has no part in it.
_EXACT_SIGNATURE: Final = "nrefs:{}|case:mixed|tok:none|match:line|version:1"


class ExactMatch(SacrebleuMetric):
    """Percent of the lines that equal a reference, apart from white space around them."""

    name = "exact_match"
    title = "exact match"

    def make_scorer(self, references: Iterable[str]) -> SacrebleuScorer:
        """See `SacrebleuMetric.make_scorer`."""
        return _ExactMatchScorer()  # type: ignore[no-untyped-call]

    def _signature(self, scorer: SacrebleuScorer) -> str:
        return _EXACT_SIGNATURE.format(scorer.num_refs)


class _ExactMatchScorer(SacrebleuScorer):
    """Exact match for sacreBLEU: the statistics of a line are whether it matches, and 1."""

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


METRICS: dict[str, type[Metric]] = {
    "bleu": Bleu,
    "bleu_lc": LowercasedBleu,
    "chrf": Chrf,
    "ter": Ter,
    "exact_match": ExactMatch,
}
