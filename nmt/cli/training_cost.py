"""Cost of updates, counted on real ones, so that it is true of any wiring."""

import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Final

import torch
from torch import Tensor, nn

from nmt.core.batch import Batch
from nmt.core.tensor_tree import to
from nmt.nn.model import Model
from nmt.training.objective.objective import Objective
from nmt.training.optim.optimizers import Optimizer, optimizer_tensors

_LONGEST_MEASUREMENT: Final = 4.0  # seconds


def measure_update(
    model: Model, optimizer: Optimizer, batch: Batch, objective: Objective
) -> tuple[float, dict[str, int]]:
    """Make an update on a batch and measure it; the model is changed by it.

    Args:
        model: on the device of the batch.
        optimizer: of its parameters.
        batch: sentence pairs.
        objective: what it makes small.

    Returns:
        The loss: negative log-likelihood of a token before the update, in nats. The bytes in use at
        the end of the forward pass, the peak but for temporary tensors: of the weights, their
        gradients, what the optimizer remembers, and the activations kept for the backward pass.
    """
    kept = _KeptBytes(model)
    with torch.autograd.graph.saved_tensors_hooks(kept.count, lambda tensor: tensor):
        loss = _update(model, optimizer, batch, objective)
    return loss, {
        "weights": _bytes(model.parameters()),
        "gradients": _bytes(p.grad for p in model.parameters() if p.grad is not None),
        "optimizer": _bytes(optimizer_tensors(optimizer).values()),
        "activations": kept.total,
    }


def measure_speed(
    model: Model, optimizer: Optimizer, batches: Sequence[Batch], objective: Objective
) -> float:
    """Return target tokens a second, the median of updates that change the model.

    (A stall of the machine in one of them says nothing of the training.)

    Args:
        model: on the device where it will be trained; it has made an update before.
        optimizer: of its parameters.
        batches: as they come in training; the first few are enough.
        objective: what it makes small.
    """
    device = next(model.parameters()).device
    rates: list[float] = []
    start = time.perf_counter()
    for batch in batches:
        begun = time.perf_counter()
        _update(model, optimizer, to(batch, device), objective)
        ended = time.perf_counter()
        rates.append(batch.num_target_tokens / (ended - begun))
        if ended - start > _LONGEST_MEASUREMENT:
            break
    return statistics.median(rates)


def count_parameters(model: Model) -> dict[str, int]:
    """Return the parameters of each part of the model, shared ones counted at the first."""
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


def _update(model: Model, optimizer: Optimizer, batch: Batch, objective: Objective) -> float:
    """Make an update and return the loss of a token before it; wait for the device."""
    model.train()
    optimizer.zero_grad(set_to_none=True)
    losses = objective(model, batch)
    (losses.objective / batch.num_target_tokens).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(losses.negative_log_likelihood) / batch.num_target_tokens


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
