"""Additive scores that know where the steps before have looked."""

from abc import abstractmethod
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from nmt.core.errors import ConfigError
from nmt.nn.attention.scores.additive import AdditiveScore, Units
from nmt.nn.layers import Linear, initialize_hidden_gates, initialize_input_gates
from nmt.nn.shapes import Inputs, Keys, Mask, Queries, Scores


class StatefulScore(AdditiveScore):
    """``v . tanh(W q + U h + b + r_t)``: r is read from what is remembered of each position.

    The keys begin with ``U h + b``; what else a score remembers by may stand behind.
    """

    is_sequential: ClassVar[bool] = True

    @property
    def compared_size(self) -> int:
        """K, numbers of a key that are compared."""
        return self.direction.in_features

    def start(self, keys: Keys, mask: Mask) -> Tensor:
        """Return zeros, in float32 at least, as they are to be summed."""
        dtype = torch.promote_types(keys.dtype, torch.float32)
        return torch.zeros(keys.shape[:2], dtype=dtype, device=keys.device)

    def forward(self, query: Queries, keys: Keys, state: Tensor | None = None) -> Scores:
        """Return the scores."""
        assert state is not None
        compared = keys[..., : self.compared_size] + self.query_projection(query)
        return self.compare((compared + self.features(state)).unsqueeze(1))

    @abstractmethod
    def features(self, state: Tensor) -> Keys:
        """Return r, what the hidden layer reads of the state."""

    @abstractmethod
    def update(self, query: Queries, keys: Keys, state: Tensor, weights: Scores) -> Tensor:
        """Return the state after a step with these weights."""


class LocationAwareScore(StatefulScore):
    """``r_t = V (F * a_{t-1})``: a convolution over the last weights (Chorowski 2015, eq. 8-9).

    Args:
        query_size: Q.
        key_size: I.
        hidden_size: K, units of the layer that compares; null: as many as the query has.
        num_filters: rows of F.
        width: positions that a filter spans; odd, so that it has a middle.

    Raises:
        ConfigError: the width is even.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        *,
        hidden_size: Units | None = None,
        num_filters: Annotated[int, Ge(1), Le(10_000)] = 10,
        width: Annotated[int, Ge(1), Le(10_000)] = 7,
    ) -> None:
        if width % 2 == 0:
            raise ConfigError(
                f"model.attention.score.width: {width}, but a filter needs a middle; the nearest "
                f"that has one is {width + 1}"
            )
        super().__init__(query_size, key_size, hidden_size=hidden_size)
        self.filters = nn.Conv1d(1, num_filters, width, padding=width // 2, bias=False)
        self.feature_projection = Linear(num_filters, self.compared_size, bias=False)

    def features(self, state: Tensor) -> Keys:
        """Return ``V (F * a)``."""
        return self.feature_projection(self.filters(state.unsqueeze(1)).transpose(1, 2))

    def update(self, query: Queries, keys: Keys, state: Tensor, weights: Scores) -> Tensor:
        """Return the weights as they are."""
        return weights.squeeze(1).to(state.dtype)


class CoverageScore(StatefulScore):
    """``r_t = V c_t``, c the weights summed so far (See 2017, eq. 11).

    The loss that belongs to it, against looking twice, is `training.coverage_loss`.

    Args:
        query_size: Q.
        key_size: I.
        hidden_size: K, units of the layer that compares; null: as many as the query has.
    """

    def __init__(self, query_size: int, key_size: int, *, hidden_size: Units | None = None) -> None:
        super().__init__(query_size, key_size, hidden_size=hidden_size)
        self.coverage_projection = Linear(1, self.compared_size, bias=False)

    def features(self, state: Tensor) -> Keys:
        """Return ``V c``."""
        return self.coverage_projection(state.unsqueeze(-1))

    def update(self, query: Queries, keys: Keys, state: Tensor, weights: Scores) -> Tensor:
        """Return ``c + a``."""
        return state + weights.squeeze(1)


class FertilityCoverageScore(CoverageScore):
    """The same with ``c_t = sum a / f_s``, ``f_s = N sigmoid(u . h_s)`` (Tu 2016, eq. 6-7).

    f is the fertility: how many words a source word is expected to become.

    Args:
        query_size: Q.
        key_size: I.
        hidden_size: K, units of the layer that compares; null: as many as the query has.
        max_fertility: N.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        *,
        hidden_size: Units | None = None,
        max_fertility: Annotated[float, Ge(0.001), Le(1_000)] = 2.0,
    ) -> None:
        super().__init__(query_size, key_size, hidden_size=hidden_size)
        self.max_fertility = max_fertility
        self.fertility = Linear(key_size, 1, bias=False)

    def keys(self, inputs: Inputs) -> Keys:
        """Return ``U h + b``, and f behind it."""
        fertility = self.max_fertility * torch.sigmoid(self.fertility(inputs))
        return torch.cat([super().keys(inputs), fertility], dim=-1)

    def update(self, query: Queries, keys: Keys, state: Tensor, weights: Scores) -> Tensor:
        """Return ``c + a / f``."""
        return state + weights.squeeze(1) / keys[..., -1].clamp(min=1e-4)


class GRUCoverageScore(StatefulScore):
    """``r_t = V c_t``, ``c_t = GRU(c_{t-1}; a_t, h, q)`` at each position (Tu 2016, eq. 8).

    Args:
        query_size: Q.
        key_size: I.
        hidden_size: K, units of the layer that compares; null: as many as the query has.
        coverage_size: D, numbers that are remembered of each position.
    """

    def __init__(
        self,
        query_size: int,
        key_size: int,
        *,
        hidden_size: Units | None = None,
        coverage_size: Annotated[int, Ge(1), Le(10_000)] = 10,
    ) -> None:
        super().__init__(query_size, key_size, hidden_size=hidden_size)
        self.coverage_size = coverage_size
        self.coverage_projection = Linear(coverage_size, self.compared_size, bias=False)
        gate_size = 3 * coverage_size
        self.key_to_gates = nn.Linear(key_size, gate_size)
        self.query_to_gates = nn.Linear(query_size, gate_size, bias=False)
        self.weight_to_gates = nn.Linear(1, gate_size, bias=False)
        self.hidden_to_gates = nn.Linear(coverage_size, gate_size)
        for linear in (self.key_to_gates, self.query_to_gates, self.weight_to_gates):
            initialize_input_gates(linear.weight, 3)
        initialize_hidden_gates(self.hidden_to_gates.weight, 3)

    def keys(self, inputs: Inputs) -> Keys:
        """Return ``U h + b``, and behind it what h adds to the gates."""
        return torch.cat([super().keys(inputs), self.key_to_gates(inputs)], dim=-1)

    def start(self, keys: Keys, mask: Mask) -> Tensor:
        """Return zeros, `[B S D]`."""
        return keys.new_zeros(*keys.shape[:2], self.coverage_size)

    def features(self, state: Tensor) -> Keys:
        """Return ``V c``."""
        return self.coverage_projection(state)

    def update(self, query: Queries, keys: Keys, state: Tensor, weights: Scores) -> Tensor:
        """Return the state after one step of the GRU at each position."""
        of_key = keys[..., self.compared_size :]
        of_weight = self.weight_to_gates(weights.transpose(1, 2))
        inputs = of_key + self.query_to_gates(query) + of_weight
        reset, update, candidate = inputs.chunk(3, dim=-1)
        hidden_r, hidden_z, hidden_n = self.hidden_to_gates(state).chunk(3, dim=-1)
        candidate = torch.tanh(candidate + torch.sigmoid(reset + hidden_r) * hidden_n)
        return torch.lerp(candidate, state, torch.sigmoid(update + hidden_z))
