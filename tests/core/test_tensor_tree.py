from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.core.tensor_tree import (
    Shared,
    fill,
    map_shared,
    map_tensors,
    reorder,
    repeat,
    select,
    tensors_of,
    to,
)


@dataclass(frozen=True)
class Inner:
    states: Tensor
    maybe: Tensor | None
    size: int


@dataclass(frozen=True)
class Common(Shared):
    states: Tensor


@dataclass(frozen=True)
class Outer:
    inner: Inner
    layers: tuple[Tensor, ...]


def make() -> Outer:
    rows = torch.tensor([[1.0], [2.0]])
    return Outer(Inner(rows, None, 7), (rows * 10, rows * 100))


def values(structure: Outer) -> list[list[float]]:
    return [tensor.flatten().tolist() for tensor in (structure.inner.states, *structure.layers)]


def test_select_takes_rows_of_every_tensor_in_the_order_given() -> None:
    assert values(select(make(), torch.tensor([1, 1, 0]))) == [
        [2, 2, 1],
        [20, 20, 10],
        [200, 200, 100],
    ]


def test_reorder_leaves_shared_trees() -> None:
    own, common = torch.tensor([1.0, 2.0]), Common(torch.tensor([3.0, 4.0]))
    moved, left = reorder((own, common), torch.tensor([1, 0]))
    assert moved.tolist() == [2.0, 1.0] and left is common
    assert select((own, common), torch.tensor([1, 0]))[1].states.tolist() == [4.0, 3.0]


def test_fill_puts_tensors_back_in_order() -> None:
    given = (make(), None, Common(torch.tensor([5.0])), 7)
    tensors = tensors_of(given)
    assert [tensor.flatten().tolist() for tensor in tensors] == [[1, 2], [10, 20], [100, 200], [5]]
    outer, nothing, common, number = fill(given, [tensor + 1 for tensor in tensors])
    assert values(outer) == [[2, 3], [11, 21], [101, 201]]
    assert (nothing, number, common.states.tolist()) == (None, 7, [6.0])


def test_shared_trees_can_be_left_out_or_changed_separately() -> None:
    own, common = torch.tensor([1.0]), Common(torch.tensor([3.0]))
    given = ((own, common), None)
    assert tensors_of(given, leave=Shared) == (own,)
    (filled, left), _ = fill(given, [own + 1], leave=Shared)
    assert filled.tolist() == [2.0] and left is common
    (same, changed), _ = map_shared(torch.neg, given)
    assert same is own and changed.states.tolist() == [-3.0]


def test_select_no_rows() -> None:
    assert values(select(make(), torch.tensor([], dtype=torch.int64))) == [[], [], []]


def test_repeat_puts_copies_side_by_side() -> None:
    assert values(repeat(make(), 2)) == [[1, 1, 2, 2], [10, 10, 20, 20], [100, 100, 200, 200]]


def test_values_other_than_tensors_are_unchanged() -> None:
    moved = select(make(), torch.tensor([0]))
    assert moved.inner.maybe is None
    assert moved.inner.size == 7
    assert map_tensors(torch.neg, None) is None


def test_original_tree_is_unchanged() -> None:
    structure = make()
    select(structure, torch.tensor([1]))
    assert values(structure) == values(make())


def test_tensor_and_tuple_are_trees() -> None:
    rows = torch.arange(4)
    assert select(rows, torch.tensor([3, 0])).tolist() == [3, 0]
    assert [tensor.tolist() for tensor in repeat((rows[:1], rows[1:2]), 2)] == [[0, 0], [1, 1]]


def test_to_moves_every_tensor() -> None:
    moved = to(make(), torch.device("meta"))
    assert {moved.inner.states.device.type, *(t.device.type for t in moved.layers)} == {"meta"}


def test_gradients_flow_through_select_and_repeat() -> None:
    rows = torch.ones(2, 1, requires_grad=True)
    select((repeat(rows, 3),), torch.tensor([0, 1, 3]))[0].sum().backward()
    assert rows.grad is not None
    assert rows.grad.flatten().tolist() == [2, 1]
