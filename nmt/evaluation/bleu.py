"""BLEU, and BLEU of lowercased text."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le
from sacrebleu.metrics.base import Metric as SacrebleuScorer
from sacrebleu.metrics.bleu import BLEU

from nmt.evaluation.bleu_tokenizers import AUTO, load_tokenizer, resolve_tokenizer
from nmt.evaluation.metric import SacrebleuMetric

BleuTokenizer = Literal["auto", "13a", "intl", "char", "zh", "ja-mecab", "ko-mecab", "none"]


@dataclass(eq=False, kw_only=True)
class Bleu(SacrebleuMetric):
    """BLEU (Papineni et al. 2002): precision of word n-grams.

    Args:
        tokenize: sacreBLEU tokenizer; auto: zh for Chinese, char for other scripts without
            spaces, 13a otherwise. In training, auto is resolved once from the validation
            references.
        lowercase: ignore case.
        smooth_method: smoothing of precisions that are 0.
        smooth_value: parameter of floor and add-k; null: sacreBLEU's default.
        max_ngram_order: words in the longest n-gram.
        effective_order: leave out n-gram orders longer than the text.
    """

    name = "bleu"
    title = "BLEU"

    tokenize: BleuTokenizer = "auto"
    lowercase: bool = False
    smooth_method: Literal["exp", "floor", "add-k", "none"] = "exp"
    smooth_value: Annotated[float, Ge(0.0), Le(1_000)] | None = None
    max_ngram_order: Annotated[int, Ge(1), Le(100)] = 4
    effective_order: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tokenize != AUTO:
            load_tokenizer(self.tokenize)  # fail early
        self.ignores_case = self.lowercase
        self.unsigned = {} if self.max_ngram_order == 4 else {"order": self.max_ngram_order}

    def make_scorer(self, references: Iterable[str]) -> SacrebleuScorer:
        """See `SacrebleuMetric.make_scorer`."""
        tokenize = resolve_tokenizer(self.tokenize, references)
        # force: no warning about text that ends in " .", as in the toy corpus.
        return BLEU(**self.options() | {"tokenize": tokenize}, force=True)


class LowercasedBleu(Bleu):
    """BLEU of lowercased text, short for bleu with lowercase: true.

    Args:
        tokenize: see bleu.
    """

    name = "bleu_lc"

    def __init__(self, label: str = "", *, tokenize: BleuTokenizer = "auto") -> None:
        super().__init__(label, tokenize=tokenize, lowercase=True)
