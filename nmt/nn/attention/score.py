"""Score functions: how well does each source position fit what the decoder asks for?"""

from abc import ABC, abstractmethod
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.initialization import initialize_linear


class Score(nn.Module, ABC):
    """Compares queries with keys.

    Args:
        query_size: Q, numbers in the decoder's state.
        value_size: H, numbers in one position of the memory.
    """

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__()

    @abstractmethod
    def keys(self, values: Float[Tensor, "B S H"]) -> Float[Tensor, "B S K"]:
        """What of a score depends on the memory alone: made once for a sentence."""

    @abstractmethod
    def forward(
        self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S K"]
    ) -> Float[Tensor, "B T S"]:
        """The scores, of any size and sign."""


class AdditiveScore(Score):
    """``v . tanh(W q + U h + b)`` (Bahdanau 2015, A.1.2).

    Args:
        query_size: Q.
        value_size: H.
        hidden_size: K, units of the layer that compares; null: as many as the query has.
    """

    def __init__(self, query_size: int, value_size: int, *, hidden_size: int | None = None) -> None:
        super().__init__(query_size, value_size)
        hidden_size = hidden_size or query_size
        self.query_projection = nn.Linear(query_size, hidden_size, bias=False)
        self.key_projection = nn.Linear(value_size, hidden_size)
        self.direction = nn.Linear(hidden_size, 1, bias=False)
        for linear in (self.query_projection, self.key_projection, self.direction):
            initialize_linear(linear)

    def keys(self, values: Float[Tensor, "B S H"]) -> Float[Tensor, "B S K"]:
        """``U h + b``."""
        projected: Tensor = self.key_projection(values)
        return projected

    def forward(
        self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S K"]
    ) -> Float[Tensor, "B T S"]:
        """The scores."""
        compared = torch.tanh(self.query_projection(query).unsqueeze(2) + keys.unsqueeze(1))
        scores: Tensor = self.direction(compared).squeeze(-1)
        return scores


class DotScore(Score):
    """``q . h`` (Luong 2015, eq. 8); the memory is projected first where its size is another."""

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__(query_size, value_size)
        self.key_projection: nn.Module = nn.Identity()
        if query_size != value_size:
            self.key_projection = _bilinear(query_size, value_size)

    def keys(self, values: Float[Tensor, "B S H"]) -> Float[Tensor, "B S K"]:
        """The memory, in the size of the query."""
        projected: Tensor = self.key_projection(values)
        return projected

    def forward(
        self, query: Float[Tensor, "B T Q"], keys: Float[Tensor, "B S K"]
    ) -> Float[Tensor, "B T S"]:
        """The scores."""
        return query @ keys.transpose(1, 2)


class GeneralScore(DotScore):
    """``q . W h`` (Luong 2015, eq. 8): the memory is always projected."""

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__(query_size, value_size)
        self.key_projection = _bilinear(query_size, value_size)


def _bilinear(query_size: int, value_size: int) -> nn.Linear:
    projection = nn.Linear(value_size, query_size, bias=False)
    initialize_linear(projection)
    return projection


SCORES: Final[dict[str, type[Score]]] = {
    "additive": AdditiveScore,
    "dot": DotScore,
    "general": GeneralScore,
}
