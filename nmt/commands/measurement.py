"""What one update costs: counted on a real one, so that it is true of any wiring."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.batch import Batch
from nmt.nn.model import Model
from nmt.training.loss import label_smoothed_cross_entropy
from nmt.training.optimization import Optimizer, optimizer_tensors


@dataclass(frozen=True)
class UpdateCost:
    """One update, measured; memory in bytes.

    Attributes:
        loss: negative log-likelihood of a token before the update, in nats.
        seconds: forward, backward and the update, with the machine warm.
        weights: of the parameters.
        gradients: of the parameters.
        optimizer: what the update rule remembers.
        activations: what the forward pass keeps for the backward pass.
    """

    loss: float
    seconds: float
    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """Bytes in use at the end of the forward pass, the peak but for passing tensors."""
        return self.weights + self.gradients + self.optimizer + self.activations


def measure_update(
    model: Model, optimizer: Optimizer, batch: Batch, smoothing: float, precision: torch.dtype
) -> UpdateCost:
    """Make two updates on a batch and measure the second; the model is changed by them.

    Args:
        model: on the device of the batch.
        optimizer: of its parameters.
        batch: sentence pairs.
        smoothing: of the labels.
        precision: to compute in.
    """
    model.train()
    loss, _ = _update(model, optimizer, batch, smoothing, precision)
    _wait_for(batch.source)
    start = time.perf_counter()
    _, activations = _update(model, optimizer, batch, smoothing, precision)
    _wait_for(batch.source)
    return UpdateCost(
        loss=loss,
        seconds=time.perf_counter() - start,
        weights=_bytes(model.parameters()),
        gradients=_bytes(p.grad for p in model.parameters() if p.grad is not None),
        optimizer=_bytes(optimizer_tensors(optimizer).values()),
        activations=activations,
    )


def count_parameters(model: Model) -> dict[str, int]:
    """Numbers to train in each part of the model; what parts share is counted at the first."""
    parts: list[tuple[str, nn.Module]] = [
        ("source embedding", model.source_embedding),
        ("target embedding", model.target_embedding),
        ("encoder", model.encoder),
        ("bridge", model.bridge),
        ("attention", model.decoder.attention),
        ("decoder", model.decoder),
        ("projection", model.projection),
    ]
    seen: set[nn.Parameter] = set()
    counts = {}
    for name, module in parts:
        new = set(module.parameters()) - seen
        seen |= new
        counts[name] = sum(parameter.numel() for parameter in new)
    assert seen == set(model.parameters()), "a part of the model is not in the list"
    return counts


def _update(
    model: Model, optimizer: Optimizer, batch: Batch, smoothing: float, precision: torch.dtype
) -> tuple[float, int]:
    """The loss of a token, and the bytes that the forward pass kept."""
    optimizer.zero_grad(set_to_none=True)
    kept = _KeptBytes(model)
    with torch.autograd.graph.saved_tensors_hooks(kept.count, lambda tensor: tensor):
        with torch.autocast(batch.source.device.type, precision, precision != torch.float32):
            logits = model(batch).logits
        loss = label_smoothed_cross_entropy(logits, batch.labels, smoothing)
    (loss.objective / batch.num_target_tokens).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.negative_log_likelihood) / batch.num_target_tokens, kept.total


class _KeptBytes:
    """Counts the memory of what is saved for the backward pass, each storage once.

    Counting what autograd saves, not what the process holds, is exact and the same on each device.
    """

    def __init__(self, model: nn.Module) -> None:
        # The weights are saved too, but they are there anyway.
        self._seen = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self.total = 0

    def count(self, tensor: Tensor) -> Tensor:
        """Take note of a tensor, and save it as it is."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.total += storage.nbytes()
        return tensor


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _wait_for(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)
