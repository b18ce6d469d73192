"""Base class of the loss terms, and the outputs that they are computed from."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from nmt.core.batch import Batch
from nmt.nn.decoders.interface import DecoderOutput


@dataclass(frozen=True)
class Outputs:
    """Outputs of the model for a batch.

    Attributes:
        batch: the sentence pairs; twice if a term `needs_two_passes`, the second passes after all
            first ones.
        decoded: vectors, attention weights and sampled positions.
        label_log_probabilities: log-probability of each label, without gradient; 0 for PAD.
        log_probabilities: log-probabilities of all words; None: no term `needs_distribution`.
    """

    batch: Batch
    decoded: DecoderOutput
    label_log_probabilities: Float[Tensor, "B T"]
    log_probabilities: Float[Tensor, "B T V"] | None = None


class LossTerm(ABC):
    """Term that is added to the cross-entropy; its options include its weight.

    A subclass is usually a dataclass with the arguments `frozen` and `kw_only`.

    Attributes:
        needs_attention: whether it trains the attention weights.
        needs_links: whether it reads `Batch.alignment`.
        needs_distribution: whether it reads `Outputs.log_probabilities`, which takes much memory.
        needs_two_passes: whether each sentence is computed twice, with other dropout masks. The
            objective is half the sum over both passes.
    """

    needs_attention: ClassVar[bool] = False
    needs_links: ClassVar[bool] = False
    needs_distribution: ClassVar[bool] = False
    needs_two_passes: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, outputs: Outputs) -> Float[Tensor, ""] | None:
        """Return the weighted term, summed over all words; None: nothing to add for this batch."""
