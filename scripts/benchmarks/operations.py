"""Operations that an update needs, and the machine's peak rate: the limit of any way to train."""

from collections.abc import Callable

import torch

from benchmarks.ways import Sizes
from nmt.core.batch import Batch
from nmt.core.special_tokens import PAD
from nmt.nn.layers import matmul

SIDE = 2048
"""Rows of the square matrices whose product measures the machine's peak rate."""


def count_operations(sizes: Sizes, batch: Batch) -> int:
    """Return the floating-point operations of the matrix products of an update.

    Each element of a weight costs two operations for each row that it multiplies. This counts three
    times: once forward, and backward once for each factor. Padding is not counted. The attention
    has two sums for each pair of a target and a source piece: over the hidden units of the score,
    and over the positions. The tanh between them is not a product.
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
    """Return a matrix product of `2 * SIDE**3` operations, by the fastest library for it."""
    left, right = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))
    return lambda: matmul(left, right)
