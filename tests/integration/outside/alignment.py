"""An alignment: positive scores, divided by their sum."""

from typing import Annotated

from annotated_types import Gt
from torch import Tensor, nn

from nmt.nn.attention.alignments.alignment import Alignment, AlignmentOutput


class Softplus(Alignment):
    """``softplus(e_s) / sum_s' softplus(e_s')`` over the real tokens.

    Args:
        query_size: Q.
        sharpness: the beta of the softplus.
    """

    def __init__(self, query_size: int, *, sharpness: Annotated[float, Gt(0.0)] = 1.0) -> None:
        super().__init__(query_size)
        self.sharpness = sharpness

    def forward(
        self, scores: Tensor, mask: Tensor, query: Tensor, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return weights that sum to one."""
        positive = nn.functional.softplus(scores, beta=self.sharpness) * mask.unsqueeze(1)
        return AlignmentOutput(positive / positive.sum(-1, keepdim=True).clamp_min(1e-9))
