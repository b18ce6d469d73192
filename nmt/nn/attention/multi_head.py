"""Multi-head attention."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nmt.core.batch import combine
from nmt.nn.attention.attention import (
    AnyAttentionState,
    AnyMemory,
    Attention,
    AttentionOutput,
    AttentionState,
    BaseAttention,
    Memory,
)
from nmt.nn.layers import initialize_linear
from nmt.nn.shapes import Hidden, Inputs, Mask, Queries, Values


class MultiHeadAttention(BaseAttention):
    """``c_t = W_o [head_1; ...; head_N]``, each head an attention of its own (Vaswani 2017, 3.2.2).

    ``head_i = attention_i(W_q^i q, W_k^i h, W_v^i h)``, for any score and alignment. The returned
    weights are the mean over the heads; the weights of each head are returned as well.

    Args:
        make_head: makes an attention from its query size and its key size.
        num_heads: N; it must divide both sizes.
        query_size: Q.
        value_size: H.
        key_size: I, the size of the keys; None: the keys are the values.
    """

    def __init__(
        self,
        make_head: Callable[[int, int], Attention],
        num_heads: int,
        query_size: int,
        value_size: int,
        *,
        key_size: int | None = None,
    ) -> None:
        super().__init__()
        assert query_size % num_heads == 0 and value_size % num_heads == 0
        key_size = value_size if key_size is None else key_size
        sizes = query_size // num_heads, value_size // num_heads
        self.attentions = [make_head(*sizes) for _ in range(num_heads)]
        self.heads = nn.ModuleList(self.attentions)
        self.query_projection = nn.Linear(query_size, query_size, bias=False)
        reads_keys = any(head.score.reads_keys for head in self.attentions)
        self.key_projection = nn.Linear(key_size, value_size, bias=False) if reads_keys else None
        self.value_projection = nn.Linear(value_size, value_size, bias=False)
        self.output_projection = nn.Linear(value_size, value_size, bias=False)
        linears = [self.query_projection, self.value_projection, self.output_projection]
        for linear in [*linears, self.key_projection] if self.key_projection else linears:
            initialize_linear(linear)

    def prepare(
        self, values: Values, mask: Mask, summary: Hidden | None = None, keys: Inputs | None = None
    ) -> tuple[Memory, ...]:
        """Return a memory for each head."""
        keys = values if keys is None else keys
        keys = keys if self.key_projection is None else self.key_projection(keys)
        of_keys, of_values = self._split(keys), self._split(self.value_projection(values))
        return tuple(
            head.prepare(value, mask, keys=key)
            for head, key, value in zip(self.attentions, of_keys, of_values, strict=True)
        )

    def start(self, memory: AnyMemory) -> tuple[AttentionState, ...]:
        """Return the state of each head before the first step."""
        assert isinstance(memory, tuple)
        return tuple(head.start(part) for head, part in zip(self.attentions, memory, strict=True))

    def forward(
        self, query: Queries, memory: AnyMemory, state: AnyAttentionState = None
    ) -> AttentionOutput:
        """Attend to the memory, once for each of T queries."""
        state = self.start(memory) if state is None else state
        assert isinstance(memory, tuple) and isinstance(state, tuple)
        queries = self._split(self.query_projection(query))
        seen = [
            head(*of_head)
            for head, *of_head in zip(self.heads, queries, memory, state, strict=True)
        ]
        context = self.output_projection(torch.cat([head.context for head in seen], dim=-1))
        stacked = torch.stack([head.weights for head in seen])
        state = tuple(head.state for head in seen)
        sampled = [head.sampled for head in seen if head.sampled is not None]
        total = combine(_add_up, sampled) if sampled else None
        return AttentionOutput(context, stacked.mean(0), state, total, stacked.permute(1, 2, 0, 3))

    def _split(self, vectors: Tensor) -> tuple[Tensor, ...]:
        return vectors.chunk(len(self.attentions), dim=-1)


def _add_up(of_heads: tuple[Tensor, ...]) -> Tensor:
    """Add up log-probabilities or entropies of heads, which sample independently; join flags."""
    return torch.stack(of_heads).sum(0, dtype=of_heads[0].dtype)
