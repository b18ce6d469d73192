"""Move whatever holds tensors: how search handles a decoder state that it cannot see into.

A structure is a tensor, None, or a frozen dataclass or tuple of structures. The batch is
dimension 0 of every tensor in it. Anything else (an int, a str) is passed through unchanged.
"""

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

S = TypeVar("S")


class Shared:
    """Marks a dataclass whose rows are alike for all hypotheses of a sentence (`reorder`)."""


def map_tensors(
    function: Callable[[Tensor], Tensor], structure: S, *, leave: type[Any] | None = None
) -> S:
    """The same structure with every tensor replaced by `function` of it; `leave` stays as it is."""
    node: Any = structure
    if node is None or (leave is not None and isinstance(node, leave)):
        return structure  # None first: torch 2.11 cannot trace what is asked of others
    if isinstance(node, Tensor):
        node = function(node)
    elif isinstance(node, tuple):
        node = tuple(map_tensors(function, item, leave=leave) for item in node)
    elif is_dataclass(node) and not isinstance(node, type):
        changed = {
            field.name: map_tensors(function, getattr(node, field.name), leave=leave)
            for field in fields(node)
        }
        node = replace(node, **changed)
    return node  # type: ignore[no-any-return]


def map_shared(function: Callable[[Tensor], Tensor], structure: S) -> S:
    """The same structure with `function` of every tensor in what is `Shared`."""
    node: Any = structure
    if isinstance(node, Shared):
        node = map_tensors(function, node)
    elif isinstance(node, tuple):
        node = tuple(map_shared(function, item) for item in node)
    elif is_dataclass(node) and not isinstance(node, type):
        changed = {
            field.name: map_shared(function, getattr(node, field.name)) for field in fields(node)
        }
        node = replace(node, **changed)
    return node  # type: ignore[no-any-return]


def tensors_of(structure: Any, *, leave: type[Any] | None = None) -> tuple[Tensor, ...]:
    """All tensors in a row, but for those in `leave`; `fill` puts them back."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(keep, structure, leave=leave)
    return tuple(found)


def fill(structure: S, tensors: Iterable[Tensor], *, leave: type[Any] | None = None) -> S:
    """The same structure with other tensors, in the order of `tensors_of`."""
    rest = iter(tensors)
    return map_tensors(lambda _: next(rest), structure, leave=leave)


def select(structure: S, rows: Tensor) -> S:
    """Rows of the batch, in the order given; `rows` is `[N]` of int64 (a row may come twice)."""
    return map_tensors(lambda tensor: tensor.index_select(0, rows), structure)


def reorder(structure: S, rows: Tensor) -> S:
    """`select`, where every row takes the place of one of the same sentence.

    What is `Shared` is the same there already, and much: it is not copied.
    """
    return map_tensors(lambda tensor: tensor.index_select(0, rows), structure, leave=Shared)


def repeat(structure: S, times: int) -> S:
    """Every row `times` times, copies side by side: rows a, b become a, a, b, b."""
    return map_tensors(lambda tensor: tensor.repeat_interleave(times, dim=0), structure)


def to(structure: S, device: torch.device) -> S:
    """The structure on another device, copied without blocking where the memory is pinned."""
    return map_tensors(lambda tensor: tensor.to(device, non_blocking=True), structure)
