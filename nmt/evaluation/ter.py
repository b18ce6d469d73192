"""Translation edit rate."""

from dataclasses import dataclass

from sacrebleu.metrics.ter import TER

from nmt.evaluation.metric import SacrebleuMetric


@dataclass(eq=False, kw_only=True)
class Ter(SacrebleuMetric):
    """Translation edit rate (Snover et al. 2006): edits per 100 reference words, fewer is better.

    Args:
        normalized: split off punctuation first, as tercom does.
        no_punct: leave out punctuation.
        asian_support: let normalized and no_punct handle CJK characters and punctuation too.
        case_sensitive: distinguish upper and lower case.
    """

    name = "ter"
    title = "TER"
    higher_is_better = False
    scorer = TER

    normalized: bool = False
    no_punct: bool = False
    asian_support: bool = False
    case_sensitive: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ignores_case = not self.case_sensitive
