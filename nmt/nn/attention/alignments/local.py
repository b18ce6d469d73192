"""Local alignments, which attend within a window (Luong 2015, section 3.2)."""

import math
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from nmt.nn.attention.alignments.alignment import Alignment, AlignmentOutput, masked_softmax
from nmt.nn.layers import initialize_linear
from nmt.nn.shapes import Mask, Queries, Scores


class LocalMonotonicAlignment(Alignment):
    """local-m: softmax within D positions of ``p_t = t`` (Luong 2015, section 3.2).

    After the last position, p stays there.

    Args:
        query_size: Q.
        window: D.
    """

    is_guidable: ClassVar[bool] = False

    def __init__(self, query_size: int, *, window: Annotated[int, Ge(0), Le(100_000)] = 10) -> None:
        super().__init__(query_size)
        self.window = window

    def start(self, mask: Mask) -> Tensor:
        """Return t of the first step, `[B]`."""
        return torch.zeros(mask.shape[0], dtype=torch.long, device=mask.device)

    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return weights that sum to one."""
        state = self.start(mask) if state is None else state
        num_steps = scores.shape[1]
        steps = state.unsqueeze(1) + torch.arange(num_steps, device=scores.device)
        last = (mask.sum(-1, keepdim=True) - 1).clamp(min=0)
        away = _positions(scores) - torch.minimum(steps, last).unsqueeze(-1)
        inside = mask.unsqueeze(1) & (away.abs() <= self.window)
        return AlignmentOutput(masked_softmax(scores, inside), state + num_steps)


class LocalPredictiveAlignment(Alignment):
    """local-p: ``softmax * exp(-(s - p_t)^2 / 2 sigma^2)`` within D positions of p_t.

    ``p_t = S sigmoid(v . tanh(W q))``, ``sigma = D / 2`` (Luong 2015, eq. 9-10). The weights are
    not renormalised after the Gaussian, so they sum to less than one.

    The learned parameter is ``v sqrt(Q)``. A step of Adam moves all its Q numbers by the learning
    rate, possibly in the same direction. Without the scaling, such steps could saturate the sigmoid
    for good.

    Args:
        query_size: Q.
        window: D.
    """

    sums_to_one: ClassVar[bool] = False
    is_sparse: ClassVar[bool] = True

    def __init__(self, query_size: int, *, window: Annotated[int, Ge(1), Le(100_000)] = 10) -> None:
        super().__init__(query_size)
        self.window = window
        self.query_projection = nn.Linear(query_size, query_size, bias=False)
        self.direction = nn.Linear(query_size, 1, bias=False)
        for linear in (self.query_projection, self.direction):
            initialize_linear(linear)

    def forward(
        self, scores: Scores, mask: Mask, query: Queries, state: Tensor | None = None
    ) -> AlignmentOutput:
        """Return weights that sum to at most one."""
        moved = self.direction(torch.tanh(self.query_projection(query)))
        share = torch.sigmoid(moved / math.sqrt(query.shape[-1]))
        # bfloat16 cannot represent odd numbers above 256.
        share = share.to(torch.promote_types(share.dtype, torch.float32))
        # The positions are 0 to S - 1 here, and 1 to S in the paper.
        last = (mask.sum(-1) - 1).clamp(min=0)[:, None, None]
        away = _positions(scores) - last * share
        inside = mask.unsqueeze(1) & (away.abs() <= self.window)
        gaussian = torch.exp(-2 * (away / self.window).square()).to(scores.dtype)
        return AlignmentOutput(masked_softmax(scores, inside) * gaussian)


def _positions(scores: Tensor) -> Tensor:
    return torch.arange(scores.shape[-1], device=scores.device)
