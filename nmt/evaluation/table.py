"""The metrics that a configuration can name."""

from typing import Final

from nmt.evaluation.bleu import Bleu, LowercasedBleu
from nmt.evaluation.chrf import Chrf
from nmt.evaluation.exact_match import ExactMatch
from nmt.evaluation.metric import Metric
from nmt.evaluation.ter import Ter

METRICS: Final[dict[str, type[Metric]]] = {
    "bleu": Bleu,
    "bleu_lc": LowercasedBleu,
    "chrf": Chrf,
    "ter": Ter,
    "exact_match": ExactMatch,
}
