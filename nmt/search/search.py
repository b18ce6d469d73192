"""What every search is: a function of a step function and a state that it cannot see into."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import torch
from jaxtyping import Int
from torch import Tensor

from nmt.search.hypothesis import Hypothesis
from nmt.search.penalties import LengthPenalty
from nmt.symbols import BOS, EOS, PAD, UNK

State = TypeVar("State")

StepFunction = Callable[[Tensor, State], tuple[Tensor, State]]
"""One word further: the last tokens `[N]` and the state of N hypotheses to the log-probabilities
of the next token `[N V]`, normalised, and the new state. A row must not depend on the others."""

_GRANTED_TOKENS = 10  # beyond the ratio, as a short source may need a long translation

# A search looks at the tokens from EOS on alone: PAD, UNK and BOS stand before it and are no text.
assert max(PAD, UNK, BOS) < EOS


@dataclass(frozen=True)
class SearchLimits:
    """How long a translation may be, in tokens, EOS not counted.

    At the upper limit EOS follows, however improbable.

    Attributes:
        min_length: fewest tokens.
        max_length: most tokens.
        max_length_ratio: most tokens for each token of the source; 10 more are granted. None: any
            number. `min_length`, which is at most `max_length`, goes before it.
    """

    min_length: int = 0
    max_length: int = 250
    max_length_ratio: float | None = 3.0

    def __post_init__(self) -> None:
        assert self.min_length <= self.max_length, "the configuration refuses it"

    def most_tokens(self, source_lengths: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """The upper limit of each sentence, given the tokens of its source."""
        if self.max_length_ratio is None:
            return torch.full_like(source_lengths, self.max_length)
        relative = (source_lengths * self.max_length_ratio).to(source_lengths.dtype)
        return (relative + _GRANTED_TOKENS).clamp(self.min_length, self.max_length)

    def first_token(self, length: int) -> int:
        """The lowest token that may follow `length` tokens: EOS, or the one after it."""
        return EOS if length >= self.min_length else EOS + 1


class Search(ABC):
    """Finds the translations that a model holds to be good.

    Args:
        beam_size: hypotheses kept at each step.
        n_best: most hypotheses to return for a sentence; at most `beam_size`.
        penalty: what they are ranked by.
        limits: how long they may be.
    """

    def __init__(
        self, beam_size: int, n_best: int, penalty: LengthPenalty, limits: SearchLimits
    ) -> None:
        assert n_best <= beam_size, "the configuration refuses it"
        self.beam_size: Final = beam_size
        self.n_best: Final = n_best
        self.penalty: Final = penalty
        self.limits: Final = limits

    @abstractmethod
    def __call__(
        self, step: StepFunction[State], state: State, source_lengths: Int[Tensor, " B"]
    ) -> list[list[Hypothesis]]:
        """Translate a batch; what a sentence gets depends on no other sentence in it.

        Args:
            step: the model.
            state: before the first word, one row for each sentence.
            source_lengths: tokens of each source sentence, EOS counted; on the device of the
                state.

        Returns:
            For each sentence the best hypotheses, best first; of equal ones that which was found
            first. There are `n_best`, or all that there are where the limits leave room for fewer.
        """
