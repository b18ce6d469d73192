"""No attention: the baseline that shows what attention is for."""

from jaxtyping import Bool, Float
from torch import Tensor

from nmt.nn.attention.attention import (
    AnyAttentionState,
    AnyMemory,
    AttentionOutput,
    BaseAttention,
    Summary,
)


class FixedContext(BaseAttention):
    """The source as one vector, the same at each step (Cho 2014: c); its weights are all zero."""

    def prepare(
        self,
        values: Float[Tensor, "B S H"],
        mask: Bool[Tensor, "B S"],
        *,
        keys: Float[Tensor, "B S I"] | None = None,
        summary: Float[Tensor, "B H"] | None = None,
    ) -> Summary:
        """The summary."""
        assert summary is not None, "a fixed context is made of the summary"
        return Summary(summary, mask)

    def start(self, memory: AnyMemory) -> None:
        """Nothing is remembered."""
        return None

    def forward(
        self, query: Float[Tensor, "B T Q"], memory: AnyMemory, state: AnyAttentionState = None
    ) -> AttentionOutput:
        """The one vector, T times."""
        assert isinstance(memory, Summary)
        num_steps = query.shape[1]
        context = memory.vector.unsqueeze(1).expand(-1, num_steps, -1)
        weights = context.new_zeros(context.shape[0], num_steps, memory.mask.shape[1])
        return AttentionOutput(context, weights)
