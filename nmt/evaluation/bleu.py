"""BLEU, and BLEU of lowercased text."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Final, Literal

from annotated_types import Ge, Le
from sacrebleu.metrics.base import Metric as SacrebleuScorer
from sacrebleu.metrics.bleu import BLEU

from nmt.evaluation.bleu_tokenizers import AUTO, load_tokenizer, resolve_tokenizer
from nmt.evaluation.metric import SacrebleuMetric

BleuTokenizer = Literal["auto", "13a", "intl", "char", "zh", "ja-mecab", "ko-mecab", "none"]


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
        max_ngram_order: Annotated[int, Ge(1), Le(100)] = 4,
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
