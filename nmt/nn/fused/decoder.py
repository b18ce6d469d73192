"""Shared parts of the fused decoders: their tapes, and the joint product of query and gates."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmt.nn.fused.attention import AttentionInputs, AttentionTape
from nmt.nn.layers import addmm, addmm_
from nmt.nn.recurrent.cell import CellTape, StartsTape


@dataclass(frozen=True)
class TapeKinds:
    """Classes of the tapes of a fused decoder.

    Attributes:
        cell: what starts the cell tape.
        attention: classes of the attention and score tapes, and the mask.
    """

    cell: StartsTape
    attention: AttentionInputs

    def start(
        self, num_steps: int, state: Tensor, *memory: Any, cell_steps: int = 1
    ) -> tuple[CellTape, AttentionTape]:
        """Return empty tapes that start at `state`; `memory` is the attention's, already cast."""
        attention = self.attention.tape.start(num_steps, self.attention, *memory)
        return self.cell.start(cell_steps * num_steps, state), attention


def save_tapes(ctx: Any, cell: CellTape, attention: AttentionTape, *others: Tensor) -> None:
    """Save the tapes and other tensors for `restore_tapes` in the backward pass."""
    ctx.tapes, ctx.score_tape = (type(cell), type(attention)), attention.score_tape
    ctx.num_cell, ctx.num_others = len(cell.tensors), len(others)
    ctx.save_for_backward(*others, *cell.tensors, *attention.tensors)


def restore_tapes(ctx: Any) -> tuple[CellTape, AttentionTape, tuple[Tensor, ...]]:
    """Return the tapes and the other tensors that `save_tapes` saved."""
    saved, num_others = ctx.saved_tensors, ctx.num_others
    (cell_tape, attention_tape), end = ctx.tapes, num_others + ctx.num_cell
    attention = attention_tape(ctx.score_tape, *saved[end:])
    attention.begin_backward()
    return cell_tape(*saved[num_others:end]), attention, saved[:num_others]


class JointProjection:
    """Query and gates of a hidden state as one product: ``[q; u] = h [W; U]^T + [0; b]``.

    Args:
        weight: ``[W; U]``, `[K+G H]`, or U, `[G H]`, if the hidden state is the query.
        num_gates: G.
        bias: b; None for the backward pass, which does not read it.
    """

    def __init__(self, weight: Tensor, num_gates: int, bias: Tensor | None = None) -> None:
        self.weight = weight
        self.num_queries = len(weight) - num_gates
        self.gates_weight = weight[self.num_queries :]
        if bias is not None:
            self.bias = torch.cat([bias.new_zeros(self.num_queries), bias])

    def __call__(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return q and u."""
        both = addmm(self.bias, hidden, self.weight.t())
        query = both[:, : self.num_queries] if self.num_queries else hidden
        return query, both[:, self.num_queries :]

    def query_gradient(self, d_both: Tensor) -> Tensor:
        """Return the buffer for the gradient of q: a part of `d_both`, or a new tensor."""
        if self.num_queries:
            return d_both[:, : self.num_queries]
        return d_both.new_empty(len(d_both), self.weight.shape[1])

    def backward(self, d_both: Tensor, d_query: Tensor, d_hidden: Tensor) -> None:
        """Add the gradient through q and u to the gradient of h."""
        # d h += d q W + d u U, or d h += d q + d u U
        addmm_(d_hidden, d_both, self.weight)
        if self.num_queries == 0:
            d_hidden += d_query
