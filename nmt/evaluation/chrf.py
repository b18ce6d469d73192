"""chrF and chrF++."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le
from sacrebleu.metrics.chrf import CHRF

from nmt.evaluation.metric import SacrebleuMetric


@dataclass(eq=False, kw_only=True)
class Chrf(SacrebleuMetric):
    """chrF (Popovic 2015): F-score of character n-grams; suits rich morphology.

    Args:
        char_order: characters in the longest n-gram.
        word_order: words in the longest n-gram of words; 2: chrF++; 0: characters only.
        beta: weight of recall relative to precision.
        lowercase: ignore case.
        whitespace: count spaces as characters.
        eps_smoothing: smooth as chrF++.py does; otherwise, empty orders are left out.
    """

    name = "chrf"
    scorer = CHRF

    char_order: Annotated[int, Ge(1), Le(20)] = 6
    word_order: Annotated[int, Ge(0), Le(20)] = 0
    beta: Annotated[int, Ge(1), Le(1_000)] = 2
    lowercase: bool = False
    whitespace: bool = False
    eps_smoothing: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.title = "chrF" + "+" * self.word_order
        self.ignores_case = self.lowercase
        self.unsigned = {} if self.beta == 2 else {"beta": self.beta}
