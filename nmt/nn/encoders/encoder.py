"""The interface of encoders: source vectors in, states for the attention out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

from nmt.nn.shapes import Mask


@dataclass(frozen=True)
class EncoderOutput:
    """The encoded source.

    Attributes:
        states: `[B S H]`, one vector for each source token; vectors at padding are undefined.
        final: `[B L H]`, the final state of each layer; both directions are concatenated.
        mask: `[B S]`, True = a real token.
    """

    states: Float[Tensor, "B S H"]
    final: Float[Tensor, "B L H"]
    mask: Bool[Tensor, "B S"]


class Encoder(nn.Module, ABC):
    """Base class of encoders.

    An encoder is constructed with `input_size`, the size E of the word vectors, and its own options
    as keyword arguments. The class methods answer what the configuration and the other parts need
    to know before an encoder exists. Their `options` are all its options, with their defaults.

    Attributes:
        reads: the kind of source. An encoder of grids has the options `channels`, `max_rows` and
            `max_columns`, which limit the grids of a corpus.
    """

    reads: ClassVar[Literal["text", "grids"]] = "text"

    @classmethod
    @abstractmethod
    def output_size(cls, options: Mapping[str, Any]) -> int:
        """Return H, the size of an output vector."""

    @classmethod
    def find_conflict(cls, options: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return an option that conflicts with another, and what to do; None: all are valid."""
        return None

    @classmethod
    def has_dropout(cls, options: Mapping[str, Any], *, reads_states: bool) -> bool:
        """Return whether dropout makes two training passes over a batch differ.

        By default, any option whose name contains "dropout" does so if it is not 0.

        Args:
            options: the options.
            reads_states: whether the decoder reads the states of all positions, and not only the
                final ones.
        """
        return any(value for name, value in options.items() if "dropout" in name)

    @classmethod
    def embedding(cls, options: Mapping[str, Any]) -> nn.Module:
        """Return the module that turns grids into vectors; words have the word embedding."""
        raise NotImplementedError

    @abstractmethod
    def forward(self, embedded: Float[Tensor, "B S E"], mask: Mask) -> EncoderOutput:
        """Encode sources padded on the right; padding does not affect the result."""
