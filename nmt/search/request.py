"""What is asked of a search: a row for each sentence of a batch, and limits on the length."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nmt.core.special_tokens import PAD, SPECIAL_SYMBOLS
from nmt.core.tensor_tree import to

EXTRA_TOKENS: Final = 10  # beyond the ratio, as a short source may need a long translation


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

    def __len__(self) -> int:
        return len(self.source_lengths)

    @classmethod
    def of(
        cls,
        source_lengths: Int[Tensor, " B"],
        keys: Int[Tensor, " B"],
        constraints: "Sequence[Constraints]",
        subset: VocabularySubset | None = None,
    ) -> "Request":
        """Pad what is asked of each sentence, on the device of the lengths.

        Args:
            source_lengths: tokens of each source sentence, EOS counted.
            keys: a number for each sentence, from which chance follows.
            constraints: in tokens.
            subset: in whose indices the request is given; None: in tokens.
        """
        if subset is not None:
            constraints = [constraint.in_subset(subset) for constraint in constraints]
        prefixes = phrases = None
        if any(constraint.prefix for constraint in constraints):
            prefixes = pad([constraint.prefix for constraint in constraints])
        most = max((len(constraint.phrases) for constraint in constraints), default=0)
        if most > 0:
            filled = [(*each.phrases, *[()] * (most - len(each.phrases))) for each in constraints]
            padded = pad([phrase for phrases in filled for phrase in phrases])
            phrases = padded.view(len(constraints), most, -1)
        return to(cls(source_lengths, prefixes, phrases, keys, subset), source_lengths.device)


@dataclass(frozen=True)
class LengthLimits:
    """Limits on the length of a translation, in tokens, EOS not counted.

    At the upper limit EOS follows, however improbable.

    Attributes:
        min_length: fewest tokens.
        max_length: most tokens; goes before all else.
        min_length_ratio: fewest tokens for each token of the source.
        max_length_ratio: most tokens for each token of the source; 10 more are granted. None: any
            number. The fewest go before it.
    """

    min_length: int = 0
    max_length: int = 250
    min_length_ratio: float = 0.0
    max_length_ratio: float | None = 3.0

    def __post_init__(self) -> None:
        assert self.min_length <= self.max_length, "the configuration refuses it"

    def min_lengths(self, source_lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Return the lower limit of each sentence, given the tokens of its source."""
        relative = (source_lengths * self.min_length_ratio).to(source_lengths.dtype)
        return relative.clamp(self.min_length, self.max_length)

    def max_lengths(self, source_lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """Return the upper limit of each sentence, given the tokens of its source."""
        if self.max_length_ratio is None:
            return torch.full_like(source_lengths, self.max_length)
        relative = (source_lengths * self.max_length_ratio).to(source_lengths.dtype)
        longest = (relative + EXTRA_TOKENS).clamp(max=self.max_length)
        return torch.maximum(longest, self.min_lengths(source_lengths))


@dataclass(frozen=True)
class LengthBounds:
    """Limits on the length of each translation of a request, computed once for all steps.

    Attributes:
        min_length: `[B]`, in tokens, EOS not counted.
        max_length: `[B]`, likewise, and at least that of the forced prefix.
        free: the lengths at which every translation may end or continue.
    """

    min_length: Int[Tensor, " B"]
    max_length: Int[Tensor, " B"]
    free: range

    @classmethod
    def of(cls, limits: LengthLimits, request: Request) -> "LengthBounds":
        """Return the limits for the sources and prefixes of a request."""
        min_length = limits.min_lengths(request.source_lengths)
        max_length = limits.max_lengths(request.source_lengths)
        if request.prefixes is not None:
            max_length = torch.maximum(max_length, (request.prefixes != PAD).sum(dim=1))
        if not len(request):
            return cls(min_length, max_length, range(0))
        return cls(min_length, max_length, range(int(min_length.max()), int(max_length.min())))


def pad(rows: Sequence[Sequence[int]]) -> Int[Tensor, "N L"]:
    """Return rows of tokens, padded with PAD on the right."""
    tensors = [torch.tensor(row, dtype=torch.int64) for row in rows]
    return pad_sequence(tensors, batch_first=True, padding_value=PAD)
