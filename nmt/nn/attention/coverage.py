"""Additive scores that know where the steps before have looked."""

from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt
from jaxtyping import Bool, Float
from torch import Tensor, nn

from nmt.nn.attention.additive import AdditiveScore
from nmt.nn.initialization import (
    initialize_hidden_gates,
    initialize_input_gates,
    initialize_linear,
)


class LocationAwareScore(AdditiveScore):
    """``v . tanh(W q + U h + b + V (F * a_{t-1}))`` (Chorowski 2015, eq. 8-9).

    ``F * a`` is a convolution over the weights of the step before.

    Args:
        query_size: Q.
        value_size: H.
        hidden_size: K, units of the layer that compares; null: as many as the query has.
        num_filters: rows of F.
        width: positions that a filter spans; odd, so that it has a middle.
    """

    in_turn: ClassVar[bool] = True

    def __init__(
        self,
        query_size: int,
        value_size: int,
        *,
        hidden_size: Annotated[int, Ge(1)] | None = None,
        num_filters: Annotated[int, Ge(1)] = 10,
        width: Annotated[int, Ge(1)] = 7,
    ) -> None:
        super().__init__(query_size, value_size, hidden_size=hidden_size)
        width += width % 2 == 0
        self.filters = nn.Conv1d(1, num_filters, width, padding=width // 2, bias=False)
        self.feature_projection = nn.Linear(num_filters, self.direction.in_features, bias=False)
        initialize_linear(self.feature_projection)

    def start(self, keys: Float[Tensor, "B S K"], mask: Bool[Tensor, "B S"]) -> Tensor:
        """No weight anywhere."""
        return keys.new_zeros(keys.shape[:2])

    def forward(
        self,
        query: Float[Tensor, "B T Q"],
        keys: Float[Tensor, "B S K"],
        past: Tensor | None = None,
    ) -> Float[Tensor, "B T S"]:
        """The scores."""
        assert past is not None
        features = self.filters(past.unsqueeze(1)).transpose(1, 2)
        summed = keys + self.query_projection(query) + self.feature_projection(features)
        return self.compare(summed.unsqueeze(1))

    def look(
        self,
        query: Float[Tensor, "B 1 Q"],
        keys: Float[Tensor, "B S K"],
        past: Tensor,
        weights: Float[Tensor, "B 1 S"],
    ) -> Tensor:
        """The weights, as they are."""
        return weights.squeeze(1)


class CoverageScore(AdditiveScore):
    """``v . tanh(W q + U h + b + V c_t)``, ``c_t`` the weights summed so far (See 2017, eq. 11).

    The loss that belongs to it, against looking twice, is `training.coverage_loss`.

    Args:
        query_size: Q.
        value_size: H.
        hidden_size: K, units of the layer that compares; null: as many as the query has.
    """

    in_turn: ClassVar[bool] = True

    def __init__(
        self,
        query_size: int,
        value_size: int,
        *,
        hidden_size: Annotated[int, Ge(1)] | None = None,
    ) -> None:
        super().__init__(query_size, value_size, hidden_size=hidden_size)
        self.coverage_projection = nn.Linear(1, self.direction.in_features, bias=False)
        initialize_linear(self.coverage_projection)

    def start(self, keys: Float[Tensor, "B S K"], mask: Bool[Tensor, "B S"]) -> Tensor:
        """Nothing is covered."""
        return keys.new_zeros(keys.shape[:2])

    def forward(
        self,
        query: Float[Tensor, "B T Q"],
        keys: Float[Tensor, "B S K"],
        past: Tensor | None = None,
    ) -> Float[Tensor, "B T S"]:
        """The scores."""
        assert past is not None
        covered = self.coverage_projection(past.unsqueeze(-1))
        return self.compare((keys + self.query_projection(query) + covered).unsqueeze(1))

    def look(
        self,
        query: Float[Tensor, "B 1 Q"],
        keys: Float[Tensor, "B S K"],
        past: Tensor,
        weights: Float[Tensor, "B 1 S"],
    ) -> Tensor:
        """``c + a``."""
        return past + weights.squeeze(1)


class FertilityCoverageScore(CoverageScore):
    """The same with ``c_t = sum a / f_s``, ``f_s = N sigmoid(u . h_s)`` (Tu 2016, eq. 6-7).

    f is the fertility: how many words a source word is expected to become.

    Args:
        query_size: Q.
        value_size: H.
        hidden_size: K, units of the layer that compares; null: as many as the query has.
        max_fertility: N.
    """

    def __init__(
        self,
        query_size: int,
        value_size: int,
        *,
        hidden_size: Annotated[int, Ge(1)] | None = None,
        max_fertility: Annotated[float, Gt(0)] = 2.0,
    ) -> None:
        super().__init__(query_size, value_size, hidden_size=hidden_size)
        self.max_fertility = max_fertility
        self.fertility = nn.Linear(value_size, 1, bias=False)
        initialize_linear(self.fertility)

    def keys(self, values: Float[Tensor, "B S H"]) -> Float[Tensor, "B S K"]:
        """``U h + b``, and f beside it."""
        fertility = self.max_fertility * torch.sigmoid(self.fertility(values))
        return torch.cat([super().keys(values), fertility], dim=-1)

    def forward(
        self,
        query: Float[Tensor, "B T Q"],
        keys: Float[Tensor, "B S K"],
        past: Tensor | None = None,
    ) -> Float[Tensor, "B T S"]:
        """The scores."""
        return super().forward(query, keys[..., :-1], past)

    def look(
        self,
        query: Float[Tensor, "B 1 Q"],
        keys: Float[Tensor, "B S K"],
        past: Tensor,
        weights: Float[Tensor, "B 1 S"],
    ) -> Tensor:
        """``c + a / f``."""
        return past + weights.squeeze(1) / keys[..., -1].clamp(min=1e-4)


class GRUCoverageScore(AdditiveScore):
    """``v . tanh(W q + U h + b + V c_t)``, ``c_t = GRU(c_{t-1}; a_t, h, q)`` (Tu 2016, eq. 8).

    Args:
        query_size: Q.
        value_size: H.
        hidden_size: K, units of the layer that compares; null: as many as the query has.
        coverage_size: D, numbers that are remembered of each position.
    """

    in_turn: ClassVar[bool] = True

    def __init__(
        self,
        query_size: int,
        value_size: int,
        *,
        hidden_size: Annotated[int, Ge(1)] | None = None,
        coverage_size: Annotated[int, Ge(1)] = 10,
    ) -> None:
        super().__init__(query_size, value_size, hidden_size=hidden_size)
        self.coverage_size = coverage_size
        self.coverage_projection = nn.Linear(coverage_size, self.direction.in_features, bias=False)
        initialize_linear(self.coverage_projection)
        gate_size = 3 * coverage_size
        self.value_to_gates = nn.Linear(value_size, gate_size)
        self.query_to_gates = nn.Linear(query_size, gate_size, bias=False)
        self.weight_to_gates = nn.Linear(1, gate_size, bias=False)
        self.hidden_to_gates = nn.Linear(coverage_size, gate_size)
        for linear in (self.value_to_gates, self.query_to_gates, self.weight_to_gates):
            initialize_input_gates(linear.weight, 3)
        initialize_hidden_gates(self.hidden_to_gates.weight, 3)

    def keys(self, values: Float[Tensor, "B S H"]) -> Float[Tensor, "B S K"]:
        """``U h + b``, and beside it what h adds to the gates."""
        return torch.cat([super().keys(values), self.value_to_gates(values)], dim=-1)

    def start(self, keys: Float[Tensor, "B S K"], mask: Bool[Tensor, "B S"]) -> Tensor:
        """Nothing is covered."""
        return keys.new_zeros(*keys.shape[:2], self.coverage_size)

    def forward(
        self,
        query: Float[Tensor, "B T Q"],
        keys: Float[Tensor, "B S K"],
        past: Tensor | None = None,
    ) -> Float[Tensor, "B T S"]:
        """The scores."""
        assert past is not None
        compared = keys[..., : -3 * self.coverage_size]
        summed = compared + self.query_projection(query) + self.coverage_projection(past)
        return self.compare(summed.unsqueeze(1))

    def look(
        self,
        query: Float[Tensor, "B 1 Q"],
        keys: Float[Tensor, "B S K"],
        past: Tensor,
        weights: Float[Tensor, "B 1 S"],
    ) -> Tensor:
        """One step of the GRU at each position."""
        of_value = keys[..., -3 * self.coverage_size :]
        of_weight = self.weight_to_gates(weights.transpose(1, 2))
        inputs = of_value + self.query_to_gates(query) + of_weight
        reset, update, candidate = inputs.chunk(3, dim=-1)
        hidden_r, hidden_z, hidden_n = self.hidden_to_gates(past).chunk(3, dim=-1)
        candidate = torch.tanh(candidate + torch.sigmoid(reset + hidden_r) * hidden_n)
        return torch.lerp(candidate, past, torch.sigmoid(update + hidden_z))
