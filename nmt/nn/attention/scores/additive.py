"""Scores by a layer that compares."""

from typing import Annotated

import torch
from annotated_types import Ge, Le
from jaxtyping import Float
from torch import Tensor, nn

from nmt.nn.attention.scores.score import Score
from nmt.nn.fused.score_tape import AdditiveTape, ScoreTape
from nmt.nn.layers import initialize_linear
from nmt.nn.shapes import Inputs, Keys, Queries, Scores


class AdditiveScore(Score):
    """``v . tanh(W q + U h + b)`` (Bahdanau 2015, A.1.2).

    Args:
        query_size: Q.
        key_size: I.
        hidden_size: K, units of the layer that compares; null: as many as the query has.
        normalize: ``g v / |v|`` in place of v, with a learned gain g that starts at
            ``1 / sqrt(K)`` (weight normalisation: Salimans & Kingma 2016; as Luong 2017 has it).
    """

    tape: type[ScoreTape] | None = AdditiveTape

    def __init__(
        self,
        query_size: int,
        key_size: int,
        *,
        hidden_size: Annotated[int, Ge(1), Le(100_000)] | None = None,
        normalize: bool = False,
    ) -> None:
        super().__init__(query_size, key_size)
        hidden_size = hidden_size or query_size
        self.query_projection = nn.Linear(query_size, hidden_size, bias=False)
        self.key_projection = nn.Linear(key_size, hidden_size)
        self.direction = nn.Linear(hidden_size, 1, bias=False)
        for linear in (self.query_projection, self.key_projection, self.direction):
            initialize_linear(linear)
        self.gain = nn.Parameter(torch.tensor(hidden_size**-0.5)) if normalize else None

    def tape_weights(self) -> tuple[Tensor | None, Tensor | None]:
        """Return W and v."""
        return self.query_projection.weight, self.vector()

    def keys(self, inputs: Inputs) -> Keys:
        """``U h + b``."""
        projected: Tensor = self.key_projection(inputs)
        return projected

    def forward(self, query: Queries, keys: Keys, state: Tensor | None = None) -> Scores:
        """Return the scores."""
        return self.compare(self.query_projection(query).unsqueeze(2) + keys.unsqueeze(1))

    def compare(self, summed: Float[Tensor, "B T S K"]) -> Scores:
        """``v . tanh(sum)``; the sum is overwritten, as it is large."""
        return summed.tanh_() @ self.vector()

    def vector(self) -> Float[Tensor, " K"]:
        """``v``, or ``g v / |v|``."""
        direction: Tensor = self.direction.weight.squeeze(0)
        if self.gain is None:
            return direction
        return self.gain * nn.functional.normalize(direction, dim=0)


class ConcatScore(AdditiveScore):
    """``v . tanh(W [q; h])`` (Luong 2015, eq. 8): additive with one matrix and no bias.

    Args:
        query_size: Q.
        key_size: I.
        hidden_size: K, units of the layer that compares; null: as many as the query has.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        *,
        hidden_size: Annotated[int, Ge(1), Le(100_000)] | None = None,
    ) -> None:
        super().__init__(query_size, key_size, hidden_size=hidden_size)
        joint = torch.empty(self.direction.in_features, query_size + key_size)
        nn.init.xavier_uniform_(joint)
        self.key_projection = nn.Linear(key_size, len(joint), bias=False)
        with torch.no_grad():
            self.query_projection.weight.copy_(joint[:, :query_size])
            self.key_projection.weight.copy_(joint[:, query_size:])
