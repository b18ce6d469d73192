"""Operations on trees of tensors, such as a decoder state that search cannot see into.

A tree is a tensor, None, or a frozen dataclass or tuple of trees. The batch is dimension 0 of
every tensor in it. Anything else (an int, a str) is passed through unchanged.
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
    function: Callable[[Tensor], Tensor], tree: S, *, leave: type[Any] | None = None
) -> S:
    """Replace every tensor by `function` of it; what is of the class `leave` stays as it is."""
    node: Any = tree
    if node is None or (leave is not None and isinstance(node, leave)):
        return tree  # None first: torch 2.11 cannot trace what is asked of others
    if isinstance(node, Tensor):
        return function(node)  # type: ignore[return-value]
    return _map_children(lambda child: map_tensors(function, child, leave=leave), tree)


def map_shared(function: Callable[[Tensor], Tensor], tree: S) -> S:
    """Replace every tensor in what is `Shared` by `function` of it."""
    if tree is None:  # first, as in `map_tensors`
        return tree
    if isinstance(tree, Shared):
        return map_tensors(function, tree)
    return _map_children(lambda child: map_shared(function, child), tree)


def _map_children(function: Callable[[Any], Any], tree: S) -> S:
    node: Any = tree
    if isinstance(node, tuple):
        node = tuple(function(item) for item in node)
    elif is_dataclass(node) and not isinstance(node, type):
        changed = {field.name: function(getattr(node, field.name)) for field in fields(node)}
        node = replace(node, **changed)
    return node  # type: ignore[no-any-return]


def tensors_of(tree: Any, *, leave: type[Any] | None = None) -> tuple[Tensor, ...]:
    """Return all tensors in order, except those in `leave`; `fill` puts them back."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(keep, tree, leave=leave)
    return tuple(found)


def fill(tree: S, tensors: Iterable[Tensor], *, leave: type[Any] | None = None) -> S:
    """Return the tree with other tensors, in the order of `tensors_of`."""
    rest = iter(tensors)
    return map_tensors(lambda _: next(rest), tree, leave=leave)


def select(tree: S, rows: Tensor) -> S:
    """Return rows of the batch, in the order given; `rows` is `[N]` of int64, perhaps repeated."""
    return map_tensors(lambda tensor: tensor.index_select(0, rows), tree)


def reorder(tree: S, rows: Tensor) -> S:
    """Like `select`, where every row is replaced by one of the same sentence.

    What is `Shared` is the same there, and large: it is not copied.
    """
    return map_tensors(lambda tensor: tensor.index_select(0, rows), tree, leave=Shared)


def repeat(tree: S, times: int) -> S:
    """Repeat every row `times` times, copies side by side: rows a, b become a, a, b, b."""
    return map_tensors(lambda tensor: tensor.repeat_interleave(times, dim=0), tree)


def to(tree: S, device: torch.device) -> S:
    """Copy a tree to another device, without blocking where the memory is pinned."""
    return map_tensors(lambda tensor: tensor.to(device, non_blocking=True), tree)
