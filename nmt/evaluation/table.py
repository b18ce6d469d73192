"""The metrics that a configuration can name."""

from typing import Final

from nmt.evaluation import bleu, chrf, exact_match, ter
from nmt.evaluation.metric import Metric

METRICS: Final[dict[str, type[Metric]]] = {
    "bleu": bleu.Bleu,
    "bleu_lc": bleu.LowercasedBleu,
    "chrf": chrf.Chrf,
    "ter": ter.Ter,
    "exact_match": exact_match.ExactMatch,
}
