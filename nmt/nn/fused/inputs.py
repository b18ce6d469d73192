"""What the fused decoders are given, and the product that their query and gates share."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from nmt.nn.attention.attention import Memory
from nmt.nn.fused.attention_tape import Looked
from nmt.nn.fused.matmul import addmm_
from nmt.nn.fused.tape import Tape


@dataclass(frozen=True)
class Looking:
    """What is looked at, and how it is compared.

    Attributes:
        memory: keys, values and mask.
        query: `[K H]`, from the state to the query; None: the state is the query.
        direction: `[K]`, from the compared layer to the score; None: scores are products.
    """

    memory: Memory
    query: Float[Tensor, "K H"] | None
    direction: Float[Tensor, " K"] | None


@dataclass(frozen=True)
class Given:
    """What all of them are given, in one precision, time-major.

    Attributes:
        number: the precision, that of the projected words.
        steps: `[T B G]`, what the words add to the gates.
        looked: keys, values and mask of the memory, and the direction.
        merged: the weight of `Merged`.
    """

    number: torch.dtype
    steps: Tensor
    looked: tuple[Tensor, Tensor, Tensor, Tensor | None]
    merged: Tensor

    @classmethod
    def of(cls, projected: Tensor, looking: Looking, hidden: Tensor) -> "Given":
        """In the precision of `projected`; `hidden` is from the state to the gates."""
        number, memory, direction = projected.dtype, looking.memory, looking.direction
        merged = hidden if looking.query is None else torch.cat([looking.query, hidden])
        return cls(
            number,
            projected.transpose(0, 1).contiguous(),
            (
                memory.keys.to(number),
                memory.values.to(number),
                memory.mask,
                None if direction is None else direction.to(number),
            ),
            merged.to(number),
        )


class Merged:
    """The product of a state with what makes its query and with what makes its gates.

    Args:
        weight: `[K+G H]`, or `[G H]` where the state is the query.
        num_gates: G.
    """

    def __init__(self, weight: Tensor, num_gates: int) -> None:
        self.weight = weight
        self.num_queries = len(weight) - num_gates

    def bias(self, of_gates: Tensor) -> Tensor:
        """Of the product: the query has none."""
        return torch.cat([of_gates.new_zeros(self.num_queries), of_gates])

    def split(self, both: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
        """The query, and what is added to the gates."""
        query = both[:, : self.num_queries] if self.num_queries else shown
        return query, both[:, self.num_queries :]

    def hidden(self) -> Tensor:
        """What makes the gates alone."""
        return self.weight[self.num_queries :]

    def room(self, d_product: Tensor) -> Tensor:
        """Where the gradient of the query of one step goes, before `back`."""
        if self.num_queries:
            return d_product[:, : self.num_queries]
        return d_product.new_empty(len(d_product), self.weight.shape[1])

    def back(self, d_product: Tensor, d_query: Tensor, d_shown: Tensor) -> None:
        """Add what comes through product and query to the gradient of what a state shows."""
        addmm_(d_shown, d_product, self.weight)
        if self.num_queries == 0:
            d_shown += d_query


def pack(ctx: Any, tape: Tape, looked: Looked, *others: Tensor) -> None:
    """Keep what the way back needs; `others` come last."""
    ctx.kind = type(tape)
    ctx.num_saved = len(tape.tensors())
    ctx.save_for_backward(*tape.tensors(), *looked.tensors(), *others)


def unpack(ctx: Any, saved: list[Any]) -> tuple[Tape, Looked]:
    """What was written down going forward, of what `pack` has kept but for the others."""
    return ctx.kind(*saved[: ctx.num_saved]), Looked(*saved[ctx.num_saved :])
