"""The contract of attention over every score and alignment, with one head and with two."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from nmt.core.batch import select
from nmt.nn.attention.alignments.alignment import Alignment, AlignmentOutput, SoftmaxAlignment
from nmt.nn.attention.alignments.hard import HardAlignment
from nmt.nn.attention.alignments.table import ALIGNMENTS
from nmt.nn.attention.attention import (
    Attention,
    AttentionOutput,
    AttentionState,
    BaseAttention,
    FixedContext,
    Memory,
)
from nmt.nn.attention.multi_head import MultiHeadAttention
from nmt.nn.attention.scores.multiplicative import DotScore, GeneralScore
from nmt.nn.attention.scores.table import SCORES
from nmt.nn.fused.attention import AttentionTape

QUERY, VALUE = 4, 6
MASK = torch.tensor([[True, True, True], [True, False, False]])


def make_attention(score: str, alignment: str, num_heads: int) -> BaseAttention:
    def make_head(query_size: int, value_size: int) -> Attention:
        return Attention(SCORES[score](query_size, value_size), ALIGNMENTS[alignment](query_size))

    torch.manual_seed(1)
    size = QUERY if SCORES[score].needs_equal_sizes else VALUE
    if num_heads == 1:
        return make_head(QUERY, size).double().eval()
    return MultiHeadAttention(make_head, num_heads, QUERY, size).double().eval()


PARTS = [
    (score, alignment, num_heads)
    for score, alignment, num_heads in product(SCORES, ALIGNMENTS, (1, 2))
    if num_heads == 1
    or score == "additive"
    or (alignment == "softmax" and not SCORES[score].is_constant)
]


@pytest.fixture(params=PARTS, ids=lambda names: "-".join(map(str, names)))
def attention(request: pytest.FixtureRequest) -> BaseAttention:
    return make_attention(*request.param)


def given(attention: BaseAttention, targets: int = 5) -> tuple[Tensor, Tensor]:
    is_dot = any(isinstance(part, DotScore) for part in attention.modules())
    torch.manual_seed(2)
    return (
        torch.randn(2, targets, QUERY, dtype=torch.double),
        torch.randn(2, 3, QUERY if is_dot else VALUE, dtype=torch.double),
    )


def look(
    attention: BaseAttention, query: Tensor, values: Tensor, mask: Tensor = MASK
) -> AttentionOutput:
    attended: AttentionOutput = attention(query, attention.prepare(values, mask))
    return attended


def test_shapes_and_weights(attention: BaseAttention) -> None:
    query, values = given(attention)
    seen = look(attention, query, values)
    assert seen.context.shape == (2, 5, values.shape[-1]) and seen.weights.shape == (2, 5, 3)
    assert (seen.weights >= 0).all() and (seen.weights[1, :, 1:] == 0).all()
    total = seen.weights.sum(-1)
    if all(part.sums_to_one for part in attention.modules() if isinstance(part, Alignment)):
        torch.testing.assert_close(total, torch.ones(2, 5, dtype=torch.double))
    assert (total < 1 + 1e-9).all()
    if isinstance(attention, Attention):
        torch.testing.assert_close(seen.context, seen.weights @ values)


def test_vectors_at_padding_change_nothing(attention: BaseAttention) -> None:
    query, values = given(attention)
    before = look(attention, query, values).context
    values[1, 1:] = 1e6
    torch.testing.assert_close(look(attention, query, values).context, before)


def test_steps_equal_one_call(attention: BaseAttention) -> None:
    query, values = given(attention)
    memory = attention.prepare(values, MASK)
    together = attention(query, memory)
    state, steps = None, []
    for t in range(5):
        step = attention(query[:, t : t + 1], memory, state)
        state = step.state
        steps.append(step)
    torch.testing.assert_close(together.weights, torch.cat([step.weights for step in steps], 1))
    torch.testing.assert_close(together.context, torch.cat([step.context for step in steps], 1))


def test_attention_state_moves_with_its_sentence(attention: BaseAttention) -> None:
    query, values = given(attention)
    memory, rows = attention.prepare(values, MASK), torch.tensor([1, 0, 0])
    state = attention(query[:, :2], memory).state
    after = attention(query[:, 2:3], memory, state)
    moved = attention(query[rows, 2:3], select(memory, rows), select(state, rows))
    torch.testing.assert_close(moved.weights, after.weights[rows])


def test_gradients_are_those_of_finite_differences(attention: BaseAttention) -> None:
    query, values = given(attention, targets=2)
    query.requires_grad_()
    values.requires_grad_()

    def context(query: Tensor, values: Tensor) -> Tensor:
        return look(attention, query, values).context

    # Along random directions: two evaluations for each input, not two for each of its numbers.
    assert torch.autograd.gradcheck(context, (query, values), fast_mode=True)


def test_earlier_steps_do_not_depend_on_later_ones(attention: BaseAttention) -> None:
    query, values = given(attention)
    before = look(attention, query, values).weights
    query[:, 3:] += 1.0
    torch.testing.assert_close(look(attention, query, values).weights[:, :3], before[:, :3])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [1.0, 1e4, 1e30])
@pytest.mark.parametrize("length", [1, 2, 500])
@pytest.mark.parametrize("name", ALIGNMENTS)
def test_alignments_give_no_nan(
    name: str, kind: torch.dtype, size: float, length: int, training: bool
) -> None:
    torch.manual_seed(3)
    alignment = ALIGNMENTS[name](QUERY).train(training)
    mask = torch.ones(2, length, dtype=torch.bool)
    mask[1] = False
    state = alignment.start(mask)
    total = torch.zeros(())
    scores = (size * torch.randn(2, 3, length)).to(kind).requires_grad_()
    for step in range(3):
        query = torch.randn(2, 1, QUERY)
        aligned = alignment(scores[:, step : step + 1], mask, query, state)
        state = aligned.state
        assert aligned.weights.isfinite().all() and aligned.weights.dtype == kind
        assert (aligned.weights[1] == 0).all(), "nothing to look at: no weight"
        total = total + (aligned.weights * torch.randn(2, 1, length)).float().sum()
    if total.requires_grad:
        total.backward()
        assert scores.grad is None or scores.grad.isfinite().all()


@pytest.mark.parametrize("reduced", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("length", [1, 3, 500])
@pytest.mark.parametrize("size", [0.0, 1e4, 1e15])
@pytest.mark.parametrize("name", SCORES)
def test_scores_give_no_nan(name: str, size: float, length: int, reduced: bool) -> None:
    value_size = QUERY if SCORES[name].needs_equal_sizes else VALUE
    attention = Attention(SCORES[name](QUERY, value_size), ALIGNMENTS["softmax"](QUERY))
    torch.manual_seed(3)
    query = (size * torch.randn(2, 2, QUERY)).requires_grad_()
    values = (size * torch.randn(2, length, value_size)).requires_grad_()
    mask = torch.ones(2, length, dtype=torch.bool)
    mask[1, 1:] = False
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=reduced):
        seen = look(attention, query, values, mask)
    assert seen.weights.isfinite().all()
    (seen.context * torch.randn(seen.context.shape)).float().sum().backward()
    for inputs in (query, values):
        assert inputs.grad is None or inputs.grad.isfinite().all()


@pytest.mark.parametrize("separate", [False, True], ids=["values", "keys"])
@pytest.mark.parametrize("name", ["dot", "scaled_dot", "general", "cosine", "additive", "location"])
def test_steps_share_one_copy_of_the_memory_under_autocast(name: str, separate: bool) -> None:
    """With a copy for each step, long sentences took several times the memory of float32."""
    size = 8  # unlike the 4 units of an additive score
    query_size = size if SCORES[name].needs_equal_sizes else QUERY
    attention = Attention(SCORES[name](query_size, size), ALIGNMENTS["softmax"](query_size))
    # Products of something, as states are: autocast keeps its casts of leaves.
    values, keys = (2.0 * torch.randn(2, 3, size, requires_grad=True) for _ in range(2))

    def count_copies(num_steps: int) -> int:
        saved: list[Tensor] = []

        def save(tensor: Tensor) -> Tensor:
            saved.append(tensor)
            return tensor

        with (
            torch.autocast("cpu", dtype=torch.bfloat16),
            torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor),
        ):
            memory = attention.prepare(values, MASK, keys=keys if separate else None)
            for _ in range(num_steps):
                attention(torch.randn(2, 1, query_size), memory)
        large = {tensor.data_ptr() for tensor in saved if tensor.numel() == values.numel()}
        return len(large)

    assert 1 <= count_copies(1) == count_copies(6)


def test_float64_stays_float64_under_autocast() -> None:
    attention = make_attention("general", "softmax", 1)
    values = torch.randn(2, 3, VALUE, dtype=torch.double)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        memory = attention.prepare(values, MASK)
    assert isinstance(memory, Memory) and memory.values is values


def test_keys_may_be_others_than_the_values() -> None:
    """The key-value view: what is compared and what is read, each with a size of its own."""
    attention = Attention(DotScore(2, 2), ALIGNMENTS["softmax"](2))
    keys = torch.tensor([[[100.0, 0.0], [0.0, 100.0]]])
    values = torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
    memory = attention.prepare(values, torch.ones(1, 2, dtype=torch.bool), keys=keys)
    seen = attention(torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]), memory)
    torch.testing.assert_close(seen.context, values.flip(1))


def test_heads_may_have_keys_of_another_size() -> None:
    torch.manual_seed(1)
    attention = MultiHeadAttention(
        lambda query, key: Attention(GeneralScore(query, key), ALIGNMENTS["softmax"](query)),
        num_heads=2,
        query_size=QUERY,
        value_size=VALUE,
        key_size=5,
    )
    memory = attention.prepare(torch.randn(2, 3, VALUE), MASK, keys=torch.randn(2, 3, 5))
    assert attention(torch.randn(2, 1, QUERY), memory).context.shape == (2, 1, VALUE)


def test_multi_head_by_hand() -> None:
    """Two heads with projections that do nothing: each reads its half of the values."""
    attention = MultiHeadAttention(
        lambda query, value: Attention(DotScore(query, value), ALIGNMENTS["softmax"](query)),
        2,
        4,
        4,
    )
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.copy_(torch.eye(4))
    values = torch.tensor([[[50.0, 0.0, 0.0, 50.0], [0.0, 50.0, 50.0, 0.0]]])
    seen = look(attention, torch.tensor([[[9.0, 0.0, 9.0, 0.0]]]), values, torch.ones(1, 2).bool())
    torch.testing.assert_close(seen.context, torch.tensor([[[50.0, 0.0, 50.0, 0.0]]]))
    torch.testing.assert_close(seen.weights, torch.tensor([[[0.5, 0.5]]]))
    assert seen.heads is not None
    torch.testing.assert_close(seen.heads, torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]]))


def test_fixed_context_is_the_summary_at_each_step() -> None:
    attention = FixedContext()
    query, values = given(attention)
    summary = torch.randn(2, VALUE, dtype=torch.double)
    seen = attention(query, attention.prepare(values, MASK, summary=summary))
    assert torch.equal(seen.context, summary.unsqueeze(1).expand(-1, 5, -1))
    assert seen.weights.shape == (2, 5, 3) and (seen.weights == 0).all()


def test_sampled_alignments_of_heads_add_up() -> None:
    """Each head draws one of two equal positions, or takes the expectation, for itself."""
    attention = MultiHeadAttention(
        lambda query, value: Attention(DotScore(query, value), HardAlignment(query, expected=0.5)),
        2,
        4,
        4,
    ).train()
    torch.manual_seed(1)
    mask = torch.ones(200, 2, dtype=torch.bool)
    choice = look(attention, torch.zeros(200, 1, 4), torch.randn(200, 2, 4), mask).sampled
    assert choice is not None
    num_drawn = choice.log_probability / math.log(0.5)
    assert set(num_drawn.round().flatten().tolist()) == {0.0, 1.0, 2.0}
    torch.testing.assert_close(num_drawn, num_drawn.round())
    assert torch.equal(choice.is_sampled, num_drawn > 0.5)
    torch.testing.assert_close(choice.entropy, torch.full((200, 1), 2 * math.log(2)))


def test_parts_with_a_forward_of_their_own_have_no_fast_path() -> None:
    class Sharp(SoftmaxAlignment):
        def forward(
            self, scores: Tensor, mask: Tensor, query: Tensor, state: Tensor | None = None
        ) -> AlignmentOutput:
            return super().forward(2 * scores, mask, query)

    class Blurred(Attention):
        def forward(
            self, query: Tensor, memory: Memory, state: AttentionState | None = None
        ) -> AttentionOutput:
            return super().forward(query / 2, memory, state)

    assert Sharp(4).fast_path is None and Blurred.fast_path is None
    assert SoftmaxAlignment(4).fast_path is AttentionTape and Attention.fast_path is True
    assert SoftmaxAlignment(4, temperature=2.0).fast_path is None
