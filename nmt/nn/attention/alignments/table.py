"""The alignments that a configuration can name."""

from typing import Final

from nmt.nn.attention.alignments import alignment, entmax, hard, local, monotonic

ALIGNMENTS: Final[dict[str, type[alignment.Alignment]]] = {
    "softmax": alignment.SoftmaxAlignment,
    "sparsemax": entmax.SparsemaxAlignment,
    "entmax": entmax.EntmaxAlignment,
    "local_m": local.LocalMonotonicAlignment,
    "local_p": local.LocalPredictiveAlignment,
    "monotonic": monotonic.MonotonicAlignment,
    "hard": hard.HardAlignment,
    "gumbel": hard.GumbelAlignment,
}
