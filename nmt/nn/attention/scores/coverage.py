"""Additive scores that depend on the attention weights of the previous steps."""

from abc import abstractmethod
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from nmt.core.errors import ConfigError
from nmt.nn.attention.scores.additive import AdditiveScore, Units
from nmt.nn.layers import Linear, initialize_gates
from nmt.nn.shapes import Inputs, Keys, Mask, Queries, Scores


class StatefulScore(AdditiveScore):
    """``v . tanh(W q + U h + b + r_t)``, where r is computed from the state of each position.

    The keys start with ``U h + b``. Further columns may hold what the state update reads.
    """

    is_sequential: ClassVar[bool] = True

    @property
    def compared_size(self) -> int:
        """Return K, how many numbers of a key are compared with the query."""
        return self.direction.in_features

    def start(self, keys: Keys, mask: Mask) -> Tensor:
        """Return zeros, in float32 at least, because weights are summed in them."""
        dtype = torch.promote_types(keys.dtype, torch.float32)
        return torch.zeros(keys.shape[:2], dtype=dtype, device=keys.device)

    def forward(self, query: Queries, keys: Keys, state: Tensor | None = None) -> Scores:
        """Return the scores."""
        assert state is not None
        compared = keys[..., : self.compared_size] + self.query_projection(query)
        return self.compare((compared + self.features(state)).unsqueeze(1))

    @abstractmethod
    def features(self, state: Tensor) -> Keys:
        """Return r, the input of the hidden layer from the state."""

    @abstractmethod
    def update(self, query: Queries, keys: Keys, state: Tensor, weights: Scores) -> Tensor:
        """Return the state after a step with these weights."""


class LocationAwareScore(StatefulScore):
    """``r_t = V (F * a_{t-1})``: a convolution over the last weights (Chorowski 2015, eq. 8-9).

    Args:
        query_size: Q.
        key_size: I.
        hidden_size: K, units of the hidden layer; null: the query size.
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
                f"model.attention.score.width: must be odd, not {width}; the nearest is {width + 1}"
            )
        super().__init__(query_size, key_size, hidden_size=hidden_size)
        self.filters = nn.Conv1d(1, num_filters, width, padding=width // 2, bias=False)
        self.feature_projection = Linear(num_filters, self.compared_size, bias=False)

    def features(self, state: Tensor) -> Keys:
        """Return ``V (F * a)``."""
        return self.feature_projection(self.filters(state.unsqueeze(1)).transpose(1, 2))

    def update(self, query: Queries, keys: Keys, state: Tensor, weights: Scores) -> Tensor:
        """Return the weights, which are the new state."""
        return weights.squeeze(1).to(state.dtype)


class CoverageScore(StatefulScore):
    """``r_t = V c_t``, where c is the sum of the weights so far (See 2017, eq. 11).

    `training.coverage_loss` is the matching loss against repeated attention.

    Args:
        query_size: Q.
        key_size: I.
        hidden_size: K, units of the hidden layer; null: the query size.
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
    """``r_t = V c_t``, ``c_t = sum a / f_s``, ``f_s = N sigmoid(u . h_s)`` (Tu 2016, eq. 6-7).

    f is the fertility: the expected number of target words for a source word.

    Args:
        query_size: Q.
        key_size: I.
        hidden_size: K, units of the hidden layer; null: the query size.
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
        """Return ``[U h + b; f]``."""
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
        hidden_size: K, units of the hidden layer; null: the query size.
        coverage_size: D, size of the coverage vector of each position.
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
            initialize_gates(linear.weight, 3, nn.init.xavier_uniform_)
        initialize_gates(self.hidden_to_gates.weight, 3, nn.init.orthogonal_)

    def keys(self, inputs: Inputs) -> Keys:
        """Return ``U h + b``, followed by what h adds to the gates."""
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
