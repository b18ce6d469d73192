"""What the model needs, and what the machine can: the limit of any way to train it."""

from collections.abc import Callable

import torch

from benchmarks.ways import Sizes
from nmt.core.batch import Batch
from nmt.core.special_tokens import PAD
from nmt.nn.layers import matmul

SIDE = 2048
"""Of the square matrices whose product stands for what the machine can."""


def count_operations(sizes: Sizes, batch: Batch) -> int:
    """Floating-point operations of the matrix products of an update.

    Two for each number of a weight and each row that it is multiplied with, three times: forward,
    and backward for both factors. Padding is none of the need. Of the attention, the sum over the
    layer that compares and the sum over the positions are counted for each pair of a target and a
    source piece; the tanh between them is no product.
    """
    hidden, size = sizes.hidden, sizes.embedding
    half = hidden // 2
    source = 2 * 3 * half * (size + half) + hidden * hidden  # both directions, and the keys
    target = 3 * hidden * (size + 2 * hidden) + hidden * hidden  # the cell, and the query
    target += size * (2 * hidden + size) + size * sizes.vocabulary
    source_lengths, target_lengths = batch.source_lengths, (batch.labels != PAD).sum(1)
    products = source * int(source_lengths.sum()) + target * int(target_lengths.sum())
    products += hidden * hidden * batch.num_sentences  # the bridge
    products += 2 * hidden * int((source_lengths * target_lengths).sum())
    return 3 * 2 * products


def large_product(kind: torch.dtype) -> Callable[[], torch.Tensor]:
    """A matrix product of `2 * SIDE**3` operations, by the library that is fastest at it."""
    left, right = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))
    return lambda: matmul(left, right)
