"""Losses whose memory is compared, by themselves and in whole updates."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.ways import CLIP_NORM, FIRST_WORD, SMOOTHING, Sizes, make_model
from nmt.core.batch import make_batch
from nmt.core.special_tokens import PAD
from nmt.training.objective.cross_entropy import (
    chunked_cross_entropy,
    label_smoothed_cross_entropy,
)
from nmt.training.optim.optimizer import apply_gradients
from nmt.training.optim.rules import Adam


def loss_of(
    name: str, vectors: Tensor, projection: nn.Linear, labels: Tensor, precision: torch.dtype
) -> Tensor:
    """Return the label-smoothed loss, summed over the labels.

    Args:
        name: "torch" (its cross-entropy), "whole" (this package's loss of all logits) or "chunks"
            (this package's loss with the projection, chunk by chunk).
        vectors: output vectors of the decoder, `[B T E]`.
        projection: projection to the vocabulary.
        labels: `[B T]`.
        precision: dtype of the logits.
    """
    weight, bias = projection.weight, projection.bias
    if name == "chunks":
        return chunked_cross_entropy(vectors, weight, bias, labels, SMOOTHING).objective
    with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
        logits = projection(vectors)
    if name == "whole":
        return label_smoothed_cross_entropy(logits, labels, SMOOTHING).objective
    return functional.cross_entropy(
        logits.flatten(0, 1),
        labels.flatten(),
        ignore_index=PAD,
        label_smoothing=SMOOTHING,
        reduction="sum",
    )


def prepare_loss(
    name: str, precision: torch.dtype, vocabulary: int, sentences: int, length: int
) -> Callable[[], None]:
    """Return a function that computes the loss and the gradients of vectors and projection."""
    torch.manual_seed(1)
    size = Sizes().embedding
    vectors = torch.randn(sentences, length, size).to(precision).requires_grad_()
    projection = nn.Linear(size, vocabulary)
    labels = torch.randint(FIRST_WORD, vocabulary, (sentences, length))

    def run() -> None:
        loss_of(name, vectors, projection, labels, precision).backward()

    return run


def prepare_update(
    name: str, precision: torch.dtype, vocabulary: int, sentences: int, length: int
) -> Callable[[], None]:
    """Return a function that makes the first update of a training."""
    model = make_model(Sizes(vocabulary))
    optimizer = Adam(model)
    words = torch.randint(FIRST_WORD, vocabulary, (2, sentences, length - 1)).tolist()
    batch = make_batch(*words)  # EOS makes `length` of them
    assert isinstance(model.projection, nn.Linear)
    projection = model.projection

    def run() -> None:
        with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
            vectors = model.decode(batch).vectors
        loss = loss_of(name, vectors, projection, batch.labels, precision)
        (loss / batch.num_target_tokens).backward()
        apply_gradients(optimizer, loss.detach(), CLIP_NORM)

    return run
