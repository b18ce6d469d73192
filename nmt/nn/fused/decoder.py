"""What the fused decoders share: their call, what they save, and the product of query and gates."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from nmt.nn.fused.attention import AttentionInputs, AttentionTape
from nmt.nn.fused.matmul import addmm, addmm_
from nmt.nn.recurrent.cell import CellTape


def run_fused(
    function: type[Function],
    cell_tape: type[CellTape],
    attention: AttentionInputs,
    projected: Float[Tensor, "B T G"],
    hidden: Float[Tensor, "G H"],
    *others: Tensor,
) -> tuple[Tensor, ...]:
    """Run a fused decoder over all target words, in the precision of `projected`.

    Its function takes the tapes of cell and score, the mask of the memory, what the words add to
    the gates, keys, values, the direction of the score, the weight of a `JointProjection`, and
    `others`, the first of which is the state before the first word.

    Args:
        function: the decoder; time-major.
        cell_tape: the cell.
        attention: what it attends to.
        projected: what the words add to the gates.
        hidden: from the hidden state that is also the query to gates.
        others: what else the function takes.

    Returns:
        The outputs of the function, batch-major.
    """
    query = attention.query
    tensors = (
        projected.transpose(0, 1).contiguous(),
        attention.keys,
        attention.values,
        attention.direction,
        hidden if query is None else torch.cat([query, hidden]),
        *others,
    )
    converted = [None if tensor is None else tensor.to(projected.dtype) for tensor in tensors]
    with torch.autocast(projected.device.type, enabled=False):
        outputs = function.apply(  # type: ignore[no-untyped-call]
            cell_tape, attention.score_tape, attention.mask, *converted
        )
    return tuple(output.transpose(0, 1) for output in outputs)


def save_tapes(ctx: Any, cell: CellTape, attention: AttentionTape, *others: Tensor) -> None:
    """Save for the backward pass what `restore_tapes` returns."""
    ctx.cell_tape, ctx.score_tape = type(cell), attention.score_tape
    ctx.num_cell, ctx.num_others = len(cell.tensors()), len(others)
    ctx.save_for_backward(*others, *cell.tensors(), *attention.tensors())


def restore_tapes(ctx: Any) -> tuple[CellTape, AttentionTape, tuple[Tensor, ...]]:
    """Return the tapes of a forward pass and the other tensors that it saved."""
    saved, num_others = ctx.saved_tensors, ctx.num_others
    end = num_others + ctx.num_cell
    attention = AttentionTape.restore(ctx.score_tape, *saved[end:])
    return ctx.cell_tape(*saved[num_others:end]), attention, saved[:num_others]


class JointProjection:
    """Query and gates of a hidden state as one product: ``[q; u] = h [W; U]^T + [0; b]``.

    Args:
        weight: ``[W; U]``, `[K+G H]`, or U, `[G H]`, where the hidden state is the query.
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
        """Return where to write the gradient of q before `backward`: a part of `d_both` or new."""
        if self.num_queries:
            return d_both[:, : self.num_queries]
        return d_both.new_empty(len(d_both), self.weight.shape[1])

    def backward(self, d_both: Tensor, d_query: Tensor, d_hidden: Tensor) -> None:
        """Add to the gradient of h what passes through q and u."""
        # d h += d q W + d u U, or d h += d q + d u U
        addmm_(d_hidden, d_both, self.weight)
        if self.num_queries == 0:
            d_hidden += d_query
