"""The loss terms that a configuration can name."""

from typing import Final

from nmt.training.objective.attention_loss import CoverageLoss, GuidedAttention, Reinforce
from nmt.training.objective.loss_term import LossTerm
from nmt.training.objective.output_loss import EntropyBonus, LabelSmoothing, RDrop

LOSSES: Final[dict[str, type[LossTerm]]] = {
    "label_smoothing": LabelSmoothing,
    "r_drop": RDrop,
    "coverage_loss": CoverageLoss,
    "guided_attention": GuidedAttention,
    "reinforce": Reinforce,
    "entropy": EntropyBonus,
}
