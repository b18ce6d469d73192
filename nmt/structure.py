"""Move whatever holds tensors: how search handles a decoder state that it cannot see into.

A structure is a tensor, None, or a frozen dataclass or tuple of structures. The batch is
dimension 0 of every tensor in it. Anything else (an int, a str) is passed through unchanged.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

S = TypeVar("S")


def map_tensors(function: Callable[[Tensor], Tensor], structure: S) -> S:
    """The same structure with every tensor replaced by `function` of it."""
    node: Any = structure
    if isinstance(node, Tensor):
        node = function(node)
    elif isinstance(node, tuple):
        node = tuple(map_tensors(function, item) for item in node)
    elif is_dataclass(node) and not isinstance(node, type):
        node = replace(
            node, **{f.name: map_tensors(function, getattr(node, f.name)) for f in fields(node)}
        )
    return node  # type: ignore[no-any-return]


def select(structure: S, rows: Tensor) -> S:
    """Rows of the batch, in the order given; `rows` is `[N]` of int64 (a row may come twice)."""
    return map_tensors(lambda tensor: tensor.index_select(0, rows), structure)


def repeat(structure: S, times: int) -> S:
    """Every row `times` times, copies side by side: rows a, b become a, a, b, b."""
    return map_tensors(lambda tensor: tensor.repeat_interleave(times, dim=0), structure)


def to(structure: S, device: torch.device) -> S:
    """The structure on another device, copied without blocking where the memory is pinned."""
    return map_tensors(lambda tensor: tensor.to(device, non_blocking=True), structure)
