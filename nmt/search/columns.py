"""Some tokens of a vocabulary, numbered anew: what a search sees that is to write no others."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from nmt.core.special_tokens import SPECIAL_SYMBOLS


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

    def find_all(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """The columns of these, each of which has one."""
        found = self.find(torch.tensor(tokens, dtype=torch.int64))
        assert (found >= 0).all(), "whoever made the columns was to see to it"
        return tuple(found.tolist())

    def restore(self, columns: Sequence[int]) -> tuple[int, ...]:
        """The tokens of these."""
        return tuple(self.tokens[list(columns)].tolist())
