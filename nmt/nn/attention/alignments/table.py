"""The alignments that a configuration can name."""

from typing import Final

from nmt.nn.attention.alignments.alignment import Alignment, SoftmaxAlignment
from nmt.nn.attention.alignments.entmax import EntmaxAlignment, SparsemaxAlignment
from nmt.nn.attention.alignments.hard import GumbelAlignment, HardAlignment
from nmt.nn.attention.alignments.local import LocalMonotonicAlignment, LocalPredictiveAlignment
from nmt.nn.attention.alignments.monotonic import MonotonicAlignment

ALIGNMENTS: Final[dict[str, type[Alignment]]] = {
    "softmax": SoftmaxAlignment,
    "sparsemax": SparsemaxAlignment,
    "entmax": EntmaxAlignment,
    "local_m": LocalMonotonicAlignment,
    "local_p": LocalPredictiveAlignment,
    "monotonic": MonotonicAlignment,
    "hard": HardAlignment,
    "gumbel": GumbelAlignment,
}
