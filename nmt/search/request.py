"""What is asked of a search: one row for each sentence of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nmt.core.special_tokens import PAD
from nmt.core.tensor_tree import to
from nmt.search.vocabulary_subset import VocabularySubset


@dataclass(frozen=True)
class Constraints:
    """What is asked of one translation.

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
    """What a search must know of the sentences beside the model's state.

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

    def prefix_lengths(self) -> Int[Tensor, " B"]:
        """Tokens of each prefix."""
        if self.prefixes is None:
            return self.source_lengths.new_zeros(len(self))
        return (self.prefixes != PAD).sum(dim=1)

    @classmethod
    def of(
        cls,
        source_lengths: Int[Tensor, " B"],
        keys: Int[Tensor, " B"],
        constraints: "Sequence[Constraints]",
        subset: VocabularySubset | None = None,
    ) -> "Request":
        """What is asked of each sentence, padded; on the device of the lengths.

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
            prefixes = _pad([constraint.prefix for constraint in constraints])
        if any(constraint.phrases for constraint in constraints):
            longest = max(
                len(phrase) for constraint in constraints for phrase in constraint.phrases
            )
            most = max(len(constraint.phrases) for constraint in constraints)
            phrases = torch.full((len(constraints), most, longest), PAD)
            for row, constraint in enumerate(constraints):
                for place, phrase in enumerate(constraint.phrases):
                    phrases[row, place, : len(phrase)] = torch.tensor(phrase)
        return to(cls(source_lengths, prefixes, phrases, keys, subset), source_lengths.device)


def _pad(rows: Sequence[Sequence[int]]) -> Int[Tensor, "B P"]:
    tensors = [torch.tensor(row, dtype=torch.int64) for row in rows]
    return pad_sequence(tensors, batch_first=True, padding_value=PAD)
