"""The alignments that a configuration can name."""

from typing import Final

from nmt.nn.attention.alignment import Alignment
from nmt.nn.attention.dense import EntmaxAlignment, SoftmaxAlignment, SparsemaxAlignment
from nmt.nn.attention.hard import GumbelAlignment, HardAlignment
from nmt.nn.attention.local import LocalMonotonicAlignment, LocalPredictiveAlignment
from nmt.nn.attention.monotonic import MonotonicAlignment

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
