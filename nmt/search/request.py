"""The input of a search: lengths, constraints and random keys, one row for each sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nmt.core.special_tokens import PAD, SPECIAL_SYMBOLS

if TYPE_CHECKING:
    from nmt.search.observer import SearchObserver


class VocabularySubset:
    """A sorted subset of the vocabulary; the columns of log-probabilities are its tokens.

    It always includes the special symbols, whose indices are therefore equal to their tokens. It is
    not a structure of tensors with one row for each sentence, because it belongs to a whole batch.

    Args:
        tokens: in any order; duplicates are allowed.
    """

    def __init__(self, tokens: Iterable[int]) -> None:
        numbers = sorted({*tokens, *range(len(SPECIAL_SYMBOLS))})
        self.tokens: Int[Tensor, " U"] = torch.tensor(numbers)

    def __len__(self) -> int:
        return len(self.tokens)

    def find_indices(self, tokens: Int[Tensor, "*N"]) -> Int[Tensor, "*N"]:
        """Return the index of each token; -1 if it is not in the subset."""
        known = self.tokens.to(tokens.device)
        places = torch.searchsorted(known, tokens).clamp(max=len(known) - 1)
        return torch.where(known[places] == tokens, places, -1)

    def to_indices(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """Return the indices of tokens, which must all be in the subset."""
        found = self.find_indices(torch.tensor(tokens, dtype=torch.int64))
        assert (found >= 0).all(), "a token is not in the subset"
        return tuple(found.tolist())

    def to_tokens(self, indices: Sequence[int]) -> tuple[int, ...]:
        """Return the tokens at these indices."""
        return tuple(self.tokens[list(indices)].tolist())


@dataclass(frozen=True)
class Constraints:
    """Constraints on one translation.

    Attributes:
        prefix: tokens that it starts with.
        phrases: consecutive tokens that it contains; each phrase has at least one token.
    """

    prefix: tuple[int, ...] = ()
    phrases: tuple[tuple[int, ...], ...] = ()

    def in_subset(self, subset: VocabularySubset) -> "Constraints":
        """Return the constraints in indices of a subset, which must have all of their tokens."""
        return Constraints(
            subset.to_indices(self.prefix), tuple(map(subset.to_indices, self.phrases))
        )


@dataclass(frozen=True)
class Request:
    """The input of a search for each sentence, apart from the model's state.

    Attributes:
        source_lengths: tokens of each source sentence, including EOS.
        prefixes: tokens that each translation must start with, padded with PAD on the right;
            None: no prefixes.
        phrases: `[B P L]`, phrases that must appear in each translation, padded with PAD on the
            right, and with rows of PAD; None: no phrases. Only for a search that
            `supports_phrases`.
        keys: a number for each sentence that seeds its random numbers; None if nothing is sampled.
        subset: the tokens of the columns of the log-probabilities; None: the whole vocabulary. The
            tokens of requests and hypotheses are indices into it.
        observer: is called after each step of the search; None: nobody looks.
    """

    source_lengths: Int[Tensor, " B"]
    prefixes: Int[Tensor, "B P"] | None = None
    phrases: Int[Tensor, "B P L"] | None = None
    keys: Int[Tensor, " B"] | None = None
    subset: VocabularySubset | None = None
    observer: "SearchObserver | None" = None


def pad(rows: Sequence[Sequence[int]]) -> Int[Tensor, "N L"]:
    """Return rows of tokens, padded with PAD on the right."""
    tensors = [torch.tensor(row, dtype=torch.int64) for row in rows]
    return pad_sequence(tensors, batch_first=True, padding_value=PAD)
