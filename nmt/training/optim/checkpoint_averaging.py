"""Averaging of checkpoints."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


def average_weights(checkpoints: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor over checkpoints of the same model (Junczys-Dowmunt 2016, section 3).

    Summed in float64, read one checkpoint at a time; tensors of integers come from the last one.
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
