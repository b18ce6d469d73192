"""Loss term that makes the attention look at few positions."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Gt
from torch import Tensor

from nmt.training.objective.loss_term import LossTerm, Outputs


@dataclass(frozen=True, kw_only=True)
class PeakedAttention(LossTerm):
    """Penalty on the entropy of the attention weights.

    Args:
        weight: weight of the entropy.
    """

    needs_attention: ClassVar[bool] = True
    weight: Annotated[float, Gt(0.0)] = 0.1

    def __call__(self, outputs: Outputs) -> Tensor:
        """Return the sum of the entropies of all words."""
        entropy = torch.special.entr(outputs.decoded.weights).sum(dim=-1)
        return self.weight * (entropy * outputs.batch.label_mask).sum()
