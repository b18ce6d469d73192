"""Scores by hand are those by formula, but for what is the same for all positions."""

import pytest
import torch
from torch import Tensor

from nmt.nn.attention.scores.additive import AdditiveTape
from nmt.nn.attention.scores.multiplicative import ProductTape
from nmt.nn.attention.scores.score import ScoreTape

EXTREMES = [0.0, 1e-3, 0.5, 9.0, 30.0, 60.0, 200.0, 1e38]


def additive(query: Tensor, keys: Tensor, direction: Tensor) -> Tensor:
    return torch.tanh(query.unsqueeze(1) + keys) @ direction


def products(query: Tensor, keys: Tensor) -> Tensor:
    return torch.einsum("bk,bsk->bs", query, keys)


def centred(scores: Tensor) -> Tensor:
    return scores - scores.mean(dim=1, keepdim=True)


@pytest.mark.parametrize("is_additive", [True, False])
def test_scores_and_gradients_are_those_of_the_formula(is_additive: bool) -> None:
    torch.manual_seed(1)
    keys = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    queries = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(3, dtype=torch.float64, requires_grad=True)
    given = (direction,) if is_additive else ()
    formula = additive if is_additive else products
    exact = [formula(query, keys, *given) for query in queries]
    d_scores = list(centred(torch.randn(8, 5, dtype=torch.float64)).split(2))
    loss = sum((some * other).sum() for some, other in zip(exact, d_scores, strict=True))
    assert isinstance(loss, Tensor)
    expected = torch.autograd.grad(loss, (queries, keys, *given))
    with torch.no_grad():
        tape: ScoreTape = AdditiveTape(keys, direction) if is_additive else ProductTape(keys)
        for query, scores in zip(queries, exact, strict=True):
            torch.testing.assert_close(centred(tape.scores(query)), centred(scores))
        d_queries = [tape.backward(*pair) for pair in zip(queries, d_scores, strict=True)]
        d_keys, d_direction = tape.finish()
    found = [torch.stack(d_queries), d_keys, *([d_direction] if is_additive else [])]
    torch.testing.assert_close(found, list(expected))
    assert (d_direction is None) == (not is_additive)


def test_queries_and_keys_may_have_half_the_largest_number() -> None:
    """Of either sign; where both are, and where they cancel, the tanh is right and has a slope."""
    values = torch.tensor([sign * value for value in EXTREMES for sign in (1.0, -1.0)])
    query, keys = values.unsqueeze(1), values.expand(len(values), -1).unsqueeze(2)
    tape = AdditiveTape(keys, torch.ones(1))
    expected = torch.tanh(values.double().unsqueeze(1) + values.double())
    torch.testing.assert_close(tape.scores(query).double() - 1.0, expected, rtol=0.0, atol=3e-7)
    d_scores = torch.eye(len(values))
    d_query = tape.backward(query, d_scores).squeeze(1)
    slope = 1.0 - torch.tanh(2.0 * values.double()).square()
    torch.testing.assert_close(d_query.double(), slope, rtol=0.0, atol=5e-7)
    d_keys, d_direction = tape.finish()
    assert d_keys.isfinite().all()
    assert d_direction is not None and d_direction.isfinite().all()


def test_tape_keeps_no_state_between_queries() -> None:
    keys = torch.tensor([[[1.0], [2.0]]])
    tape = AdditiveTape(keys, torch.ones(1))
    first = tape.scores(torch.zeros(1, 1))
    kept = first.clone()
    tape.scores(torch.ones(1, 1))
    assert torch.equal(first, kept)
