"""Averages of weights (moving and over checkpoints), and temporary replacement of weights."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def swapped_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Load weights, named as in the state dict, inside the `with`; then restore the model's own."""
    state = model.state_dict()
    own = {name: state[name].clone() for name in weights}
    model.load_state_dict({**state, **weights})
    try:
        yield
    finally:
        model.load_state_dict({**state, **own})


class ExponentialMovingAverage:
    """Moving average ``average = d * average + (1 - d) * weights`` (Polyak & Juditsky 1992).

    After n updates, d is ``min(decay, (1 + n) / (10 + n))``. The smaller d of early updates keeps
    the initial weights out of the average.

    Args:
        model: the model whose parameters are averaged.
        decay: limit of d.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._model = model
        self._parameters = dict(model.named_parameters())
        self._average = {name: p.detach().clone() for name, p in self._parameters.items()}

    def update(self, num_updates: int) -> None:
        """Add the present weights to the average, after `num_updates` updates."""
        decay = min(self.decay, (1 + num_updates) / (10 + num_updates))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self._average.values()), list(self._parameters.values()), 1.0 - decay
            )

    def average_parameters(self) -> AbstractContextManager[None]:
        """Load the average into the model inside the `with`; then restore its own weights."""
        return swapped_weights(self._model, self._average)

    def tensors(self) -> dict[str, Tensor]:
        """Return the average, for a checkpoint."""
        return dict(self._average)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the result of `tensors`."""
        assert tensors.keys() == self._average.keys()
        for name, average in self._average.items():
            average.copy_(tensors[name])


def average_weights(checkpoints: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each tensor over checkpoints of a model (Junczys-Dowmunt 2016, section 3).

    Checkpoints are read one at a time and summed in float64. Integer tensors are taken from the
    last one.
    """
    sums: dict[str, Tensor] = {}
    last: Mapping[str, Tensor] = {}
    count = 0
    for last in checkpoints:
        assert not sums or sums.keys() == last.keys()
        for name, tensor in last.items():
            sums[name] = sums[name] + tensor.double() if name in sums else tensor.double()
        count += 1
    assert count > 0
    return {
        name: (total / count).to(last[name].dtype)
        if torch.is_floating_point(last[name])
        else last[name]
        for name, total in sums.items()
    }
