"""What is asked of a search: one row for each sentence of a batch."""

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from nmt.symbols import PAD


@dataclass(frozen=True)
class Request:
    """What a search must know of the sentences beside the model's state.

    Attributes:
        source_lengths: tokens of each source sentence, EOS counted.
        prefixes: tokens that each translation must begin with, padded with PAD on the right;
            None: it may begin with any.
        phrases: `[B P L]`, tokens that must appear in each translation, each phrase in a row,
            padded with PAD on the right, and with phrases of PAD; None: there are none. Beam search
            alone knows of them.
        keys: a number for each sentence, from which chance follows; None: nothing is drawn.
    """

    source_lengths: Int[Tensor, " B"]
    prefixes: Int[Tensor, "B P"] | None = None
    phrases: Int[Tensor, "B P L"] | None = None
    keys: Int[Tensor, " B"] | None = None

    def __len__(self) -> int:
        return len(self.source_lengths)

    def prefix_lengths(self) -> Int[Tensor, " B"]:
        """Tokens of each prefix."""
        if self.prefixes is None:
            return self.source_lengths.new_zeros(len(self))
        return (self.prefixes != PAD).sum(dim=1)
