"""Some tokens of a vocabulary: the only ones that a search under a shortlist sees."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from nmt.core.special_tokens import SPECIAL_SYMBOLS


class VocabularySubset:
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

    def find_indices(self, tokens: Int[Tensor, "*N"]) -> Int[Tensor, "*N"]:
        """Return the index of each token; -1 where it is not in the subset."""
        known = self.tokens.to(tokens.device)
        places = torch.searchsorted(known, tokens).clamp(max=len(known) - 1)
        return torch.where(known[places] == tokens, places, -1)

    def to_indices(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """Return the indices of tokens that are all in the subset."""
        found = self.find_indices(torch.tensor(tokens, dtype=torch.int64))
        assert (found >= 0).all(), "a token is not in the subset"
        return tuple(found.tolist())

    def to_tokens(self, indices: Sequence[int]) -> tuple[int, ...]:
        """Return the tokens at these indices."""
        return tuple(self.tokens[list(indices)].tolist())
