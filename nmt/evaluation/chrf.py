"""chrF and chrF++."""

from functools import partial
from typing import Annotated

from annotated_types import Ge, Le
from sacrebleu.metrics.chrf import CHRF

from nmt.evaluation.metric import SacrebleuMetric


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
        char_order: Annotated[int, Ge(1), Le(100)] = 6,
        word_order: Annotated[int, Ge(0), Le(100)] = 0,
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
