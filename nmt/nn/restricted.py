"""A model that writes some tokens of its vocabulary, and computes nothing for the others."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor

from nmt.core.coverage import Coverage
from nmt.core.tensor_tree import Shared
from nmt.nn.ensemble import Ensemble
from nmt.nn.model import Model


@dataclass(frozen=True)
class AllowedTokens(Shared):
    """Which columns each row may have: `[N U]`."""

    mask: Bool[Tensor, "N U"]


@dataclass(frozen=True)
class RestrictedState:
    """The state of the model, and what each row may write."""

    inner: Any
    allowed: AllowedTokens


class RestrictedModel:
    """A model whose probabilities are shared out among some tokens, for each row its own.

    Args:
        model: whose it is.
        tokens: `[U]`, those that any row may write; columns are numbered in their order.
    """

    def __init__(self, model: Model | Ensemble, tokens: Int[Tensor, " U"]) -> None:
        self.model: Any = model  # of either kind, with a state of its own kind
        self.tokens = tokens
        self.projection: Any = model.restrict(tokens)

    def step(
        self, columns: Int[Tensor, " N"], state: RestrictedState
    ) -> tuple[Float[Tensor, "N U"], RestrictedState]:
        """One word further: log-probabilities of the next column, -inf where it is not allowed."""
        log_probabilities, inner = self.model.step(
            self.tokens[columns],
            state.inner,
            projection=self.projection,
            allowed=state.allowed.mask,
        )
        return log_probabilities, RestrictedState(inner, state.allowed)

    def coverage(self, state: RestrictedState) -> Coverage:
        """What attention has done so far, if it was asked for."""
        coverage: Coverage = self.model.coverage(state.inner)
        return coverage
