"""Batches of sentence pairs, and trees of tensors whose dimension 0 is the batch.

A tree is a tensor, None, or a frozen dataclass or tuple of trees, such as a `Batch` or an opaque
decoder state. Any other value in it (an int, a str) is passed through unchanged.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import chain
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from nmt.core.special_tokens import BOS, EOS, PAD

S = TypeVar("S")
# Concatenated rows: their values, and the length of each row, `[B]`.
FlatRows: TypeAlias = tuple[NDArray[Any], NDArray[np.int64]]
# The ids of a sentence, or the cells of a grid, `[S D]`.
Tokens: TypeAlias = Sequence[int] | NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """Sentence pairs, padded with ``PAD`` on the right; integer tensors of dtype int64.

    Attributes:
        source: `[B S]`, the source tokens, each sentence ended by EOS; or `[B S D]`, float32, the
            cells of grids (channels, row, column), with no EOS.
        source_lengths: `[B]`, number of tokens of each source sentence, EOS included.
        target: `[B T+1]`, BOS, the target tokens, EOS.
        num_target_tokens: number of labels in the batch without padding, EOS included.
        alignment: `[B T S]`, float32, the target attention for each label. Rows sum to one, or are
            zero for labels without an alignment. None: no label has one.
    """

    source: Tensor
    source_lengths: Tensor
    target: Tensor
    num_target_tokens: int
    alignment: Tensor | None = None

    @property
    def decoder_input(self) -> Tensor:
        """Return the decoder's input for teacher forcing, `[B T]`: BOS, then all but the last."""
        return self.target[:, :-1]

    @property
    def labels(self) -> Tensor:
        """Return the tokens that the decoder is to predict, `[B T]`, ended by EOS."""
        return self.target[:, 1:]

    @property
    def label_mask(self) -> Tensor:
        """Return the mask of labels, `[B T]`: True at real tokens, False at padding."""
        return self.labels != PAD

    @property
    def num_sentences(self) -> int:
        """Return the number of sentence pairs, B."""
        return self.source.shape[0]

    def to(self, device: torch.device) -> "Batch":
        """Copy the tensors to another device, without blocking if the memory is pinned."""
        return to(self, device)

    def halves(self) -> tuple["Batch", "Batch"]:
        """Split the batch into two, each padded only to its own longest sentence."""
        middle = self.num_sentences // 2
        assert middle > 0
        return self._part(slice(None, middle)), self._part(slice(middle, None))

    def _part(self, rows: slice) -> "Batch":
        lengths, real = self.source_lengths[rows], self.label_mask[rows]
        num_sources, num_labels = int(lengths.max()), int(real.sum(dim=1).max())
        links = self.alignment
        return Batch(
            source=self.source[rows, :num_sources],
            source_lengths=lengths,
            target=self.target[rows, : num_labels + 1],
            num_target_tokens=int(real.sum()),
            alignment=None if links is None else links[rows, :num_labels, :num_sources],
        )


@dataclass(frozen=True)
class LocalUpdate:
    """The part of an update that one process computes; with one process, all of it.

    Attributes:
        batches: batches of this process; empty if other processes have all sentences.
        num_batches: number of batches of the whole update, before it was distributed.
        num_target_tokens: target tokens of the whole update, by which its gradient is divided.
        is_last: whether the update is the last of an epoch.
    """

    batches: list[Batch]
    num_batches: int
    num_target_tokens: int
    is_last: bool


def make_batch(sources: Sequence[Tokens], targets: Sequence[Tokens]) -> Batch:
    """Return a batch of pairs, in the order given, with BOS and EOS added."""
    assert len(sources) == len(targets) > 0
    return pad_batch(flatten(sources), flatten(targets))


def make_source(sources: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """Return sources and their lengths as `Batch` has them."""
    return _pad_source(*flatten(sources))


def pad_batch(sources: FlatRows, targets: FlatRows) -> Batch:
    """Return the batch of B pairs that are given without BOS and EOS."""
    source, source_lengths = _pad_source(*sources)
    return Batch(
        source=source,
        source_lengths=source_lengths,
        target=_pad_ids(*targets, bos=True),
        num_target_tokens=len(targets[0]) + len(targets[1]),
    )


def flatten(rows: Sequence[Tokens], dtype: DTypeLike = np.int64) -> FlatRows:
    """Return the values of all rows, and the length of each; vectors keep their dtype."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    cells = [row for row in rows if isinstance(row, np.ndarray) and row.ndim > 1]
    if cells:
        return np.concatenate(cells), lengths
    return np.fromiter(chain.from_iterable(rows), dtype, lengths.sum()), lengths


def _pad_source(values: NDArray[Any], lengths: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    if values.ndim == 1:
        return _pad_ids(values, lengths, bos=False), torch.from_numpy(lengths + 1)
    cells = np.zeros((len(lengths), int(lengths.max()), values.shape[1]), np.float32)
    cells[np.arange(cells.shape[1]) < lengths[:, None]] = values
    return torch.from_numpy(cells), torch.from_numpy(lengths)


def _pad_ids(values: NDArray[Any], lengths: NDArray[np.int64], *, bos: bool) -> Tensor:
    """Return `[B, longest + 1]` ids: the tokens, EOS and padding; one column more with BOS."""
    columns = np.arange(int(lengths.max()) + 1 + bos) - bos
    matrix = np.full((len(lengths), len(columns)), PAD, np.int64)
    matrix[(columns >= 0) & (columns < lengths[:, None])] = values
    matrix[np.arange(len(lengths)), lengths + bos] = EOS
    if bos:
        matrix[:, 0] = BOS
    return torch.from_numpy(matrix)


class Shared:
    """Marker of a dataclass whose rows are equal for all hypotheses of a sentence (`reorder`)."""


def map_tensors(function: Callable[[Tensor], Tensor], tree: S, *, leave: type | None = None) -> S:
    """Replace every tensor by `function` of it, except in nodes of the class `leave`."""
    node: Any = tree
    if node is None or (leave is not None and isinstance(node, leave)):
        return tree  # None first: torch 2.11 cannot trace the checks below
    if isinstance(node, Tensor):
        return function(node)  # type: ignore[return-value]
    return _map_children(lambda child: map_tensors(function, child, leave=leave), tree)


def map_shared(function: Callable[[Tensor], Tensor], tree: S) -> S:
    """Replace every tensor in `Shared` nodes by `function` of it."""
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


def tensors_of(tree: Any, *, leave: type | None = None) -> tuple[Tensor, ...]:
    """Return all tensors in order, except those in `leave`; `fill` puts them back."""
    found: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    map_tensors(keep, tree, leave=leave)
    return tuple(found)


def fill(tree: S, tensors: Iterable[Tensor], *, leave: type | None = None) -> S:
    """Return the tree with other tensors, in the order of `tensors_of`."""
    rest = iter(tensors)
    return map_tensors(lambda _: next(rest), tree, leave=leave)


def combine(function: Callable[[tuple[Tensor, ...]], Tensor], trees: Sequence[S]) -> S:
    """Return a tree whose tensors are `function` of the corresponding tensors of all trees."""
    return fill(trees[0], map(function, zip(*map(tensors_of, trees), strict=True)))


def select(tree: S, rows: Tensor) -> S:
    """Return rows of the batch, in the order of `rows`: `[N]` of int64, which may repeat."""
    return map_tensors(lambda tensor: tensor.index_select(0, rows), tree)


def reorder(tree: S, rows: Tensor) -> S:
    """Select rows as `select` does, where each row is replaced by one of the same sentence.

    `Shared` nodes are large, and equal for these rows, so they are not copied.
    """
    return map_tensors(lambda tensor: tensor.index_select(0, rows), tree, leave=Shared)


def repeat(tree: S, times: int) -> S:
    """Repeat every row `times` times, copies side by side: rows a, b become a, a, b, b."""
    return map_tensors(lambda tensor: tensor.repeat_interleave(times, dim=0), tree)


def to(tree: S, device: torch.device) -> S:
    """Copy a tree to another device, without blocking if the memory is pinned."""
    return map_tensors(lambda tensor: tensor.to(device, non_blocking=True), tree)
