"""What training makes small: cross-entropy with label smoothing."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from nmt.core.special_tokens import PAD


@dataclass(frozen=True)
class TokenLoss:
    """Sums over the real tokens of a batch; divide by `Batch.num_target_tokens`.

    Attributes:
        objective: scalar with a gradient: the smoothed loss.
        negative_log_likelihood: scalar without one: the loss without smoothing, in nats, which
            can be compared between runs whatever their smoothing.
        log_probabilities: `[B T]` without one: of each label; 0 where it is PAD.
    """

    objective: Float[Tensor, ""]
    negative_log_likelihood: Float[Tensor, ""]
    log_probabilities: Float[Tensor, "B T"]


def label_smoothed_cross_entropy(
    logits: Float[Tensor, "B T V"],
    labels: Int[Tensor, "B T"],
    smoothing: float = 0.0,
    *,
    fused: bool = True,
) -> TokenLoss:
    """Cross-entropy against labels that keep `1 - smoothing` and spread the rest over all of V.

    ``(1 - e) * -log p(y) + e / V * sum_v -log p(v)``, summed over the labels that are not PAD
    (Szegedy 2016, section 7). Computed in float32 whatever the precision of the logits.

    Args:
        logits: scores of all words before the softmax.
        labels: the words that are right; PAD counts nothing.
        smoothing: e.
        fused: take the gradient by its formula; False leaves it to autograd (half as fast).
    """
    rows, flat = logits.flatten(0, 1), labels.flatten()
    compute = _SmoothedCrossEntropy.apply if fused else _plain
    objective, right = compute(rows, flat, smoothing)
    right = right.detach()
    return TokenLoss(objective, -right.sum(), right.view(labels.shape))


def _plain(logits: Tensor, labels: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    log_probabilities = functional.log_softmax(logits.float(), dim=-1)
    real = labels != PAD
    right = log_probabilities.gather(1, labels.unsqueeze(1)).squeeze(1) * real
    spread = -log_probabilities.mean(dim=-1)[real].sum()
    return -(1.0 - smoothing) * right.sum() + smoothing * spread, right


class _SmoothedCrossEntropy(Function):
    """The same with the gradient ``p(v) - e / V - (1 - e) [v = y]``: one `[N V]` for all terms."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        log_probabilities = functional.log_softmax(logits, dim=-1, dtype=torch.float32)
        real = (labels != PAD).float()
        right = log_probabilities.gather(1, labels.unsqueeze(1)).squeeze(1) * real
        spread = -(log_probabilities.mean(dim=-1) * real).sum()
        ctx.save_for_backward(log_probabilities, labels, real)
        ctx.smoothing = smoothing
        ctx.kind = logits.dtype
        ctx.mark_non_differentiable(right)
        return -(1.0 - smoothing) * right.sum() + smoothing * spread, right

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        log_probabilities, labels, real = ctx.saved_tensors
        kept = torch.full_like(real, ctx.smoothing - 1.0).unsqueeze(1)
        # In place: a fresh `[N V]` costs more than the exponential. Torch refuses a second
        # backward.
        gradient = log_probabilities.exp_()
        gradient.sub_(ctx.smoothing / gradient.shape[1])
        gradient.scatter_add_(1, labels.unsqueeze(1), kept)
        gradient.mul_((real * gradients[0]).unsqueeze(1))
        return gradient.to(ctx.kind), None, None
