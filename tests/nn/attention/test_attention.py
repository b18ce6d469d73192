import math

import pytest
import torch
from torch import Tensor

from nmt.nn.attention.alignment import ALIGNMENTS, Alignment, SoftmaxAlignment
from nmt.nn.attention.attention import Attention
from nmt.nn.attention.score import SCORES, AdditiveScore, DotScore, GeneralScore, Score

QUERY, VALUE = 4, 6
MASK = torch.tensor([[True, True, True], [True, False, False]])


@pytest.fixture(params=sorted(SCORES))
def score(request: pytest.FixtureRequest) -> Score:
    torch.manual_seed(1)
    return SCORES[request.param](QUERY, VALUE).double()


@pytest.fixture(params=sorted(ALIGNMENTS))
def alignment(request: pytest.FixtureRequest) -> Alignment:
    return ALIGNMENTS[request.param]().double()


def given(batch: int = 2, targets: int = 5, sources: int = 3) -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    return (
        torch.randn(batch, targets, QUERY, dtype=torch.double),
        torch.randn(batch, sources, VALUE, dtype=torch.double),
    )


def test_shapes_and_weights(score: Score, alignment: Alignment) -> None:
    query, values = given()
    attention = Attention(score, alignment)
    seen = attention(query, attention.prepare(values, MASK))
    assert seen.context.shape == (2, 5, VALUE) and seen.weights.shape == (2, 5, 3)
    torch.testing.assert_close(seen.weights.sum(-1), torch.ones(2, 5, dtype=torch.double))
    assert (seen.weights[1, :, 1:] == 0).all()
    torch.testing.assert_close(seen.context, seen.weights @ values)


def test_what_stands_at_padding_changes_nothing(score: Score, alignment: Alignment) -> None:
    query, values = given()
    attention = Attention(score, alignment)
    before = attention(query, attention.prepare(values, MASK)).context
    values[1, 1:] = 1e6
    torch.testing.assert_close(attention(query, attention.prepare(values, MASK)).context, before)


def test_queries_do_not_see_each_other(score: Score, alignment: Alignment) -> None:
    query, values = given()
    attention = Attention(score, alignment)
    memory = attention.prepare(values, MASK)
    together = attention(query, memory).context
    alone = torch.cat([attention(query[:, t : t + 1], memory).context for t in range(5)], dim=1)
    torch.testing.assert_close(together, alone)


def test_gradients_are_those_of_finite_differences(score: Score, alignment: Alignment) -> None:
    query, values = given(targets=2)
    attention = Attention(score, alignment)

    def look(query: Tensor, values: Tensor) -> Tensor:
        context: Tensor = attention(query, attention.prepare(values, MASK)).context
        return context

    assert torch.autograd.gradcheck(look, (query.requires_grad_(), values.requires_grad_()))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [1.0, 1e4, 1e30])
@pytest.mark.parametrize("length", [1, 2, 500])
def test_no_nan_leaves_it(
    alignment: Alignment, kind: torch.dtype, size: float, length: int
) -> None:
    torch.manual_seed(3)
    scores = (size * torch.randn(2, 3, length)).to(kind).requires_grad_()
    mask = torch.ones(2, length, dtype=torch.bool)
    mask[1] = False
    weights = alignment.float()(scores, mask)
    (weights * torch.randn(2, 3, length)).sum().backward()
    assert scores.grad is not None
    assert weights.isfinite().all() and scores.grad.isfinite().all()
    assert (weights[1] == 0).all(), "nothing to look at: no weight"


def test_softmax_by_hand() -> None:
    scores = torch.tensor([[[0.0, math.log(3.0), 7.0]]])
    weights = SoftmaxAlignment()(scores, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(weights, torch.tensor([[[0.25, 0.75, 0.0]]]))


def test_dot_by_hand() -> None:
    score = DotScore(2, 2)
    values = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    query = torch.tensor([[[10.0, 1.0]]])
    assert score(query, score.keys(values)).tolist() == [[[12.0, 34.0]]]


def test_general_by_hand() -> None:
    score = GeneralScore(2, 3)
    with torch.no_grad():
        (weight,) = score.parameters()
        weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]))
    values = torch.tensor([[[1.0, 2.0, 3.0]]])
    query = torch.tensor([[[10.0, 1.0]]])
    # W h = (7, 2); q . W h = 72
    assert score(query, score.keys(values)).tolist() == [[[72.0]]]


def test_additive_by_hand() -> None:
    score = AdditiveScore(1, 1, hidden_size=2)
    with torch.no_grad():
        score.query_projection.weight.copy_(torch.tensor([[1.0], [0.0]]))
        score.key_projection.weight.copy_(torch.tensor([[0.5], [1.0]]))
        score.key_projection.bias.copy_(torch.tensor([0.0, 0.25]))
        score.direction.weight.copy_(torch.tensor([[2.0, -1.0]]))
    found = score(torch.tensor([[[0.3]]]), score.keys(torch.tensor([[[0.8]]])))
    expected = 2 * math.tanh(0.3 + 0.4) - math.tanh(0.8 + 0.25)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_additive_is_as_wide_as_the_query_unless_told() -> None:
    assert AdditiveScore(QUERY, VALUE).direction.in_features == QUERY
    assert AdditiveScore(QUERY, VALUE, hidden_size=9).direction.in_features == 9


def test_dot_needs_no_parameters_where_the_sizes_agree() -> None:
    assert list(DotScore(3, 3).parameters()) == []
    assert [p.shape for p in DotScore(3, 5).parameters()] == [(3, 5)]
