"""Cross-entropy with label smoothing, computed from logits or in chunks.

The ``[N V]`` logits, their log-softmax and its gradient take most of the memory of training, and a
fifth of the time on a CPU. `chunked_cross_entropy` projects a chunk of rows, then computes its loss
and gradient while it is in the caches. It keeps only the gradients of vectors, weight and bias.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.core.special_tokens import PAD
from nmt.nn.layers import WeightGradient, addmm, matmul

_CHUNK: Final = 1 << 25  # bytes of logits per chunk; each chunk updates the whole weight gradient
_BLOCK: Final = 1 << 19  # logits per float32 block, which stays in the caches of a CPU


@dataclass(frozen=True)
class TokenLoss:
    """Sums over the real tokens of a batch; divide by `Batch.num_target_tokens`.

    Attributes:
        objective: scalar with gradient, the smoothed loss plus other terms.
        negative_log_likelihood: scalar without gradient, the loss in nats without smoothing;
            comparable between runs with different smoothing.
        log_probabilities: `[B T]` without gradient, the log-probability of each label; 0 for PAD.
    """

    objective: Float[Tensor, ""]
    negative_log_likelihood: Float[Tensor, ""]
    log_probabilities: Float[Tensor, "B T"]


def label_smoothed_cross_entropy(
    logits: Float[Tensor, "B T V"], labels: Int[Tensor, "B T"], smoothing: float = 0.0
) -> TokenLoss:
    """Return the cross-entropy with label smoothing (Szegedy 2016, section 7), in float32.

    The loss is ``(1 - e) * -log p(y) + e / V * sum_v -log p(v)``, summed over labels except PAD.

    Args:
        logits: scores of all words before the softmax.
        labels: the correct words; PAD is ignored.
        smoothing: e, the share of the probability spread over all words.
    """
    log_probabilities = functional.log_softmax(logits, dim=-1, dtype=torch.float32)
    return label_smoothed_nll(log_probabilities, labels, smoothing)


def label_smoothed_nll(
    log_probabilities: Float[Tensor, "B T V"], labels: Int[Tensor, "B T"], smoothing: float = 0.0
) -> TokenLoss:
    """Return `label_smoothed_cross_entropy`, given the log-softmax."""
    rows, flat = log_probabilities.flatten(0, 1), labels.flatten()
    lost = functional.nll_loss(rows, flat, ignore_index=PAD, reduction="none")
    # Not selected by the mask: a GPU would have to count its rows first.
    spread = -rows.mean(dim=-1).masked_fill(flat == PAD, 0.0).sum()
    objective = (1.0 - smoothing) * lost.sum() + smoothing * spread
    lost = lost.detach()
    return TokenLoss(objective, lost.sum(), -lost.view(labels.shape))


def chunked_cross_entropy(
    vectors: Float[Tensor, "B T O"],
    weight: Float[Tensor, "V O"],
    bias: Float[Tensor, " V"],
    labels: Int[Tensor, "B T"],
    smoothing: float = 0.0,
) -> TokenLoss:
    """Return `label_smoothed_cross_entropy` of the logits ``W o + b``, without storing all logits.

    The gradients are computed with the loss, so use it only for training. Matrix products are
    computed in the precision of `vectors`, everything else in float32.

    Args:
        vectors: o, the output vectors of the decoder.
        weight: W of the projection.
        bias: b of the projection.
        labels: the correct words; PAD is ignored.
        smoothing: share of the probability spread over all words.
    """
    with torch.autocast(vectors.device.type, enabled=False):
        objective, right = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            vectors.flatten(0, 1), weight, bias, labels.flatten(), smoothing
        )
    return TokenLoss(objective, -right.sum(), right.view(labels.shape))


class _ChunkedCrossEntropy(Function):
    """Loss ``-sum_v q(v) (x_v - lse x)`` with ``q = e / V + (1 - e) [v = y]``, gradient ``p - q``.

    The matrix products use only p and the label term of the gradient. The term ``e / V`` is equal
    for all words, so its contribution is a sum times a constant.
    """

    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        size, kind = len(weight), vectors.dtype
        matrix, shift = weight.to(kind), bias.to(kind)
        real = labels != PAD
        counted = vectors * real.unsqueeze(1)
        uniform, sum_weight = smoothing / size, weight.sum(0).float()
        right = torch.empty(len(labels), device=labels.device)
        normaliser = torch.empty_like(right)
        d_vectors = torch.empty_like(vectors)
        of_weight = WeightGradient(matrix)
        d_bias = torch.zeros_like(bias, dtype=torch.float32)
        number = max(1, _CHUNK // (size * vectors.element_size()))
        for first in range(0, len(labels), number):
            rows = slice(first, first + number)
            logits = addmm(shift, vectors[rows], matrix.t())
            gradient = logits  # overwritten in place
            for label, block, right_of, normaliser_of in _blocks(
                (labels[rows].unsqueeze(1), logits, right[rows], normaliser[rows]), size
            ):
                p = functional.softmax(block, dim=-1, dtype=torch.float32)
                # The largest p is at least 1 / V, so its logarithm is accurate.
                normaliser_of.copy_(block.amax(dim=-1).float() - p.amax(dim=-1).log())
                right_of.copy_(block.gather(1, label).squeeze(1) - normaliser_of)
                p.scatter_(1, label, (right_of.exp() - (1.0 - smoothing)).unsqueeze(1))
                block.copy_(p)
            d_vectors[rows] = matmul(gradient, matrix)
            of_weight.add(gradient, counted[rows])
            d_bias += real[rows].to(kind) @ gradient
        right *= real
        sums = vectors.float() @ sum_weight + bias.sum()  # sum of the logits of each row
        spread = ((normaliser - sums / size) * real).sum()
        d_vectors.sub_((uniform * sum_weight).to(kind)).mul_(real.unsqueeze(1))
        d_weight = of_weight.total()
        d_weight.sub_(uniform * counted.sum(0, dtype=torch.float32))
        d_bias.sub_(uniform * real.sum())
        ctx.save_for_backward(d_vectors, d_weight.to(weight.dtype), d_bias.to(bias.dtype))
        ctx.mark_non_differentiable(right)
        return -(1.0 - smoothing) * right.sum() + smoothing * spread, right

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        d_vectors, d_weight, d_bias = ctx.saved_tensors
        scale = gradients[0]
        # In place, because they are large; torch refuses a second backward pass.
        return d_vectors.mul_(scale), d_weight.mul_(scale), d_bias.mul_(scale), None, None


def _blocks(tensors: tuple[Tensor, ...], size: int) -> Iterator[tuple[Tensor, ...]]:
    """Yield blocks of the same rows of all tensors."""
    number = max(1, _BLOCK // size)
    return zip(*(torch.split(tensor, number) for tensor in tensors), strict=True)
