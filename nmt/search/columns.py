"""Some tokens of a vocabulary, numbered anew: what a search sees that is to write no others."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from nmt.search.hypothesis import Hypothesis
from nmt.search.request import Demand
from nmt.symbols import SPECIAL_SYMBOLS


class Columns:
    """The tokens that the columns of log-probabilities stand for, ascending.

    The special symbols are among them, and so have their numbers in both numberings. It is no
    structure of tensors: it belongs to a batch, not to the rows of one.

    Args:
        tokens: in any order, and as often as they come.
    """

    def __init__(self, tokens: Iterable[int]) -> None:
        numbers = sorted({*tokens, *range(len(SPECIAL_SYMBOLS))})
        self.tokens: Int[Tensor, " U"] = torch.tensor(numbers)

    def __len__(self) -> int:
        return len(self.tokens)

    def find(self, tokens: Int[Tensor, "*N"]) -> Int[Tensor, "*N"]:
        """The column of each token; -1 where it has none."""
        known = self.tokens.to(tokens.device)
        places = torch.searchsorted(known, tokens).clamp(max=len(known) - 1)
        return torch.where(known[places] == tokens, places, -1)

    def demand(self, given: Demand) -> Demand:
        """The same in columns; it has one for each token that is asked for."""
        return Demand(self._row(given.prefix), tuple(map(self._row, given.phrases)))

    def restore(self, hypothesis: Hypothesis) -> Hypothesis:
        """The same in tokens."""
        return replace(hypothesis, tokens=tuple(self.tokens[list(hypothesis.tokens)].tolist()))

    def _row(self, tokens: Sequence[int]) -> tuple[int, ...]:
        found = self.find(torch.tensor(tokens, dtype=torch.int64))
        assert (found >= 0).all(), "whoever made the columns was to see to it"
        return tuple(found.tolist())
