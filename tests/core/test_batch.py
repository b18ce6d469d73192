from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.core.batch import (
    Batch,
    Shared,
    fill,
    make_batch,
    make_source,
    map_shared,
    map_tensors,
    reorder,
    repeat,
    select,
    tensors_of,
    to,
)
from nmt.core.special_tokens import BOS, EOS, PAD, SPECIAL_SYMBOLS, UNK


def make() -> Batch:
    return Batch(
        source=torch.tensor([[7, 8, EOS], [9, EOS, PAD]]),
        source_lengths=torch.tensor([3, 2]),
        target=torch.tensor([[BOS, 4, 5, EOS], [BOS, 6, EOS, PAD]]),
        num_target_tokens=5,
    )


def test_decoder_input_and_labels_are_the_target_shifted_by_one() -> None:
    batch = make()
    assert batch.decoder_input.tolist() == [[BOS, 4, 5], [BOS, 6, EOS]]
    assert batch.labels.tolist() == [[4, 5, EOS], [6, EOS, PAD]]


def test_label_mask_is_true_on_real_tokens() -> None:
    batch = make()
    assert batch.label_mask.tolist() == [[True, True, True], [True, True, False]]
    assert int(batch.label_mask.sum()) == batch.num_target_tokens


def test_halves_are_padded_no_further_than_needed() -> None:
    alignment = torch.arange(18.0).view(2, 3, 3)
    first, second = replace(make(), alignment=alignment).halves()
    assert first.source.tolist() == [[7, 8, EOS]]
    assert first.target.tolist() == [[BOS, 4, 5, EOS]]
    assert second.source.tolist() == [[9, EOS]]
    assert second.source_lengths.tolist() == [2]
    assert second.target.tolist() == [[BOS, 6, EOS]]
    assert (first.num_target_tokens, second.num_target_tokens) == (3, 2)
    assert second.alignment is not None
    assert second.alignment.tolist() == [[[9.0, 10.0], [12.0, 13.0]]]


def test_number_of_sentences() -> None:
    assert make().num_sentences == 2


def test_special_tokens_are_numbered_in_order() -> None:
    assert [SPECIAL_SYMBOLS[i] for i in (PAD, UNK, BOS, EOS)] == list(SPECIAL_SYMBOLS)
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)


def test_a_batch_worked_out_by_hand() -> None:
    batch = make_batch([[5, 6], [7]], [[8], [9, 10, 11]])
    assert batch.source.tolist() == [[5, 6, EOS], [7, EOS, PAD]]
    assert batch.source_lengths.tolist() == [3, 2]
    assert batch.target.tolist() == [[BOS, 8, EOS, PAD, PAD], [BOS, 9, 10, 11, EOS]]
    assert batch.num_target_tokens == 6 == int(batch.label_mask.sum())
    assert {batch.source.dtype, batch.source_lengths.dtype, batch.target.dtype} == {torch.int64}


def test_batch_of_empty_sentences_has_only_eos() -> None:
    batch = make_batch([[], [4]], [[], []])
    assert batch.source.tolist() == [[EOS, PAD], [4, EOS]]
    assert batch.target.tolist() == [[BOS, EOS], [BOS, EOS]]


def test_sources_without_targets() -> None:
    source, lengths = make_source([[5, 6], []])
    assert source.tolist() == [[5, 6, EOS], [EOS, PAD, PAD]]
    assert lengths.tolist() == [3, 1]


# Trees of tensors.


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


def make_tree() -> Outer:
    rows = torch.tensor([[1.0], [2.0]])
    return Outer(Inner(rows, None, 7), (rows * 10, rows * 100))


def values(structure: Outer) -> list[list[float]]:
    return [tensor.flatten().tolist() for tensor in (structure.inner.states, *structure.layers)]


def test_select_takes_rows_of_every_tensor_in_the_order_given() -> None:
    assert values(select(make_tree(), torch.tensor([1, 1, 0]))) == [
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
    given = (make_tree(), None, Common(torch.tensor([5.0])), 7)
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
    assert values(select(make_tree(), torch.tensor([], dtype=torch.int64))) == [[], [], []]


def test_repeat_puts_copies_side_by_side() -> None:
    assert values(repeat(make_tree(), 2)) == [[1, 1, 2, 2], [10, 10, 20, 20], [100, 100, 200, 200]]


def test_values_other_than_tensors_are_unchanged() -> None:
    moved = select(make_tree(), torch.tensor([0]))
    assert moved.inner.maybe is None
    assert moved.inner.size == 7
    assert map_tensors(torch.neg, None) is None


def test_original_tree_is_unchanged() -> None:
    structure = make_tree()
    select(structure, torch.tensor([1]))
    assert values(structure) == values(make_tree())


def test_tensor_and_tuple_are_trees() -> None:
    rows = torch.arange(4)
    assert select(rows, torch.tensor([3, 0])).tolist() == [3, 0]
    assert [tensor.tolist() for tensor in repeat((rows[:1], rows[1:2]), 2)] == [[0, 0], [1, 1]]


def test_to_moves_every_tensor() -> None:
    moved = to(make_tree(), torch.device("meta"))
    assert {moved.inner.states.device.type, *(t.device.type for t in moved.layers)} == {"meta"}


def test_gradients_flow_through_select_and_repeat() -> None:
    rows = torch.ones(2, 1, requires_grad=True)
    select((repeat(rows, 3),), torch.tensor([0, 1, 3]))[0].sum().backward()
    assert rows.grad is not None
    assert rows.grad.flatten().tolist() == [2, 1]
