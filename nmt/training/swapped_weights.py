"""Lend a model other weights for a while."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def swapped_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside, the model holds these weights (by the names of its state); after it, its own."""
    state = model.state_dict()
    own = {name: state[name].clone() for name in weights}
    _copy(weights, state)
    try:
        yield
    finally:
        _copy(own, state)


def _copy(values: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in values.items():
            state[name].copy_(value)
