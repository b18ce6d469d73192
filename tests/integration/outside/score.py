"""A score: the negative distance of the query and a projected source state."""

from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn

from nmt.nn.attention.scores.score import Score


class Distance(Score):
    """``- sum |q - W h| ** power``.

    Args:
        query_size: Q.
        key_size: I.
        power: the power of each difference.
    """

    def __init__(
        self, query_size: int, key_size: int, *, power: Annotated[float, Gt(0.0)] = 2.0
    ) -> None:
        super().__init__()
        self.power = power
        self.projection = nn.Linear(key_size, query_size, bias=False)

    def keys(self, inputs: Tensor) -> Tensor:
        """Return ``W h``."""
        keys: Tensor = self.projection(inputs)
        return keys

    def forward(self, query: Tensor, keys: Tensor, state: Tensor | None = None) -> Tensor:
        """Return the scores."""
        differences = query.unsqueeze(2) - keys.unsqueeze(1)
        return -torch.pow(differences.abs() + 1e-6, self.power).sum(-1)
