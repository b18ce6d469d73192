"""Translation edit rate."""

from functools import partial

from sacrebleu.metrics.ter import TER

from nmt.evaluation.metric import SacrebleuMetric


class Ter(SacrebleuMetric):
    """Translation edit rate (Snover et al. 2006): edits per 100 reference words; low is good.

    Args:
        normalized: split off punctuation first, as tercom does.
        no_punct: leave out punctuation.
        asian_support: let normalized and no_punct handle CJK characters and punctuation too.
        case_sensitive: distinguish upper and lower case.
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
