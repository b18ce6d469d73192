"""What is asked of a search: a row for each sentence of a batch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nmt.core.special_tokens import PAD, SPECIAL_SYMBOLS


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


@dataclass(frozen=True)
class Constraints:
    """Requirements of one translation.

    Attributes:
        prefix: tokens that it begins with.
        phrases: tokens that stand in it in a row, somewhere; each of at least one.
    """

    prefix: tuple[int, ...] = ()
    phrases: tuple[tuple[int, ...], ...] = ()

    def in_subset(self, subset: VocabularySubset) -> "Constraints":
        """Return the constraints in indices of a subset that has all of their tokens."""
        return Constraints(
            subset.to_indices(self.prefix), tuple(map(subset.to_indices, self.phrases))
        )


@dataclass(frozen=True)
class Request:
    """Facts about the sentences that a search needs, next to the model's state.

    Attributes:
        source_lengths: tokens of each source sentence, EOS counted.
        prefixes: tokens that each translation must begin with, padded with PAD on the right;
            None: it may begin with any.
        phrases: `[B P L]`, tokens that must appear in each translation, each phrase in a row,
            padded with PAD on the right, and with phrases of PAD; None: there are none. Only for
            what `supports_phrases`.
        keys: a number for each sentence, from which chance follows; None: nothing is drawn.
        subset: the tokens that log-probabilities are of; None: all. Tokens here, and those of
            hypotheses, are indices into it.
    """

    source_lengths: Int[Tensor, " B"]
    prefixes: Int[Tensor, "B P"] | None = None
    phrases: Int[Tensor, "B P L"] | None = None
    keys: Int[Tensor, " B"] | None = None
    subset: VocabularySubset | None = None


def pad(rows: Sequence[Sequence[int]]) -> Int[Tensor, "N L"]:
    """Return rows of tokens, padded with PAD on the right."""
    tensors = [torch.tensor(row, dtype=torch.int64) for row in rows]
    return pad_sequence(tensors, batch_first=True, padding_value=PAD)
