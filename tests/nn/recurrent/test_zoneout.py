"""Zoneout: units of a state that keep their value, at random in training (Krueger 2017)."""

from functools import partial
from math import tanh
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.nn.encoders.recurrent import RecurrentEncoder
from nmt.nn.recurrent.cell import Cell
from nmt.nn.recurrent.gru import GRU
from nmt.nn.recurrent.lstm import LSTM
from nmt.nn.recurrent.zoneout import ZoneoutGRU, ZoneoutLSTM

BATCH, STEPS, INPUT, HIDDEN = 3, 6, 4, 5
MASK = torch.arange(STEPS) < torch.tensor([[6], [3], [1]])
KINDS: list[type[Any]] = [ZoneoutGRU, ZoneoutLSTM]


def make(kind: type[Any], probability: float, *, fused: bool = True) -> Any:
    torch.manual_seed(1)
    if kind is ZoneoutGRU:
        return ZoneoutGRU(INPUT, HIDDEN, probability=probability, fused=fused).double()
    both = {"memory_probability": probability, "hidden_probability": probability}
    return ZoneoutLSTM(INPUT, HIDDEN, **both, fused=fused).double()


def given(cell: Cell, batch: int = BATCH) -> tuple[Tensor, Tensor]:
    """Projected inputs and a start state."""
    generator = torch.Generator().manual_seed(2)
    projected = torch.randn(batch, STEPS, cell.gate_size, generator=generator)
    return projected.double(), torch.randn(batch, cell.state_size, generator=generator).double()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_probability_of_0_is_the_plain_cell(
    kind: type[Any], is_training: bool, fused: bool
) -> None:
    cell = make(kind, 0.0, fused=fused).train(is_training)
    plain = (GRU if kind is ZoneoutGRU else LSTM)(INPUT, HIDDEN).double()
    plain.load_state_dict(cell.state_dict())
    projected, start = given(cell)
    for mask in (None, MASK):
        found, expected = (one.unroll(projected, start, mask) for one in (cell, plain))
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_probability_of_1_keeps_the_state(
    kind: type[Any], is_training: bool, fused: bool
) -> None:
    cell = make(kind, 1.0, fused=fused).train(is_training)
    projected, start = given(cell)
    states = cell.unroll(projected, start)
    assert torch.equal(states, start.unsqueeze(1).expand_as(states))
    assert torch.equal(cell(projected[:, 0], start), start)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_is_the_expectation_of_a_step(kind: type[Any]) -> None:
    cell = make(kind, 0.3)
    projected, start = given(cell)
    kept, after = start, make(kind, 0.0)(projected[:, 0], start)
    torch.testing.assert_close(cell.eval()(projected[:, 0], start), 0.3 * kept + 0.7 * after)
    many = cell.train()(projected[:1, 0].expand(20_000, -1), start[:1].expand(20_000, -1))
    tolerance = 0.02 * (kept - after).abs().max().item()  # six standard deviations
    torch.testing.assert_close(many.mean(0), (0.3 * kept + 0.7 * after)[0], rtol=0, atol=tolerance)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_each_unit_keeps_its_value_or_not_in_each_step(kind: type[Any], fused: bool) -> None:
    cell = make(kind, 0.3, fused=fused)
    projected, start = given(cell, 400)
    states = cell.unroll(projected, start)
    kept = states == torch.cat([start.unsqueeze(1), states[:, :-1]], dim=1)
    assert kept.float().mean() == pytest.approx(0.3, abs=0.015)
    for dimension in (0, 1, 2):  # neither sentences, steps nor units share what they draw
        assert kept.any(dimension).float().mean() > kept.float().mean() + 0.2
        assert kept.all(dimension).float().mean() < 0.15
    first = torch.where(kept[:, 0], start, make(kind, 0.0)(projected[:, 0], start))
    torch.testing.assert_close(states[:, 0], first)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_units_in_one_node_and_step_by_step(kind: type[Any]) -> None:
    results = []
    for fused in (True, False):
        cell = make(kind, 0.4, fused=fused)
        projected, start = (tensor.requires_grad_() for tensor in given(cell))
        for mask in (None, MASK):
            torch.manual_seed(3)
            states = cell.unroll(projected, start, mask)
            factors = torch.randn(states.shape, dtype=torch.double)
            wanted = [projected, start, cell.weight_hidden, cell.bias_hidden]
            results.append([states, *torch.autograd.grad((states * factors).sum(), wanted)])
    for fast, plain in zip(results[:2], results[2:], strict=True):
        for one, other in zip(fast, plain, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    again = cell.unroll(projected, start, MASK)
    assert not torch.equal(again, results[-1][0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_masked_step_keeps_the_state_in_training(kind: type[Any]) -> None:
    cell = make(kind, 0.4)
    states = cell.unroll(*given(cell), MASK)
    assert torch.equal(states[1, 2:], states[1, 2].expand(4, -1))


@pytest.mark.parametrize("kind", KINDS)
def test_recurrent_dropout_and_zoneout_go_together(kind: type[Any]) -> None:
    cell = make(kind, 0.4)
    projected, start = given(cell)
    found = []
    for factor in (1.0, 0.5):
        torch.manual_seed(3)
        dropout_mask = torch.full((BATCH, HIDDEN), factor, dtype=torch.double)
        found.append(cell.unroll(projected, start, None, dropout_mask))
    torch.manual_seed(3)
    torch.testing.assert_close(found[0], cell.unroll(projected, start))
    kept = [states[:, 0] == start for states in found]
    assert torch.equal(*kept) and not torch.allclose(*found)


def test_zoneout_of_a_gru_by_hand() -> None:
    """With weights of zero, z = 1/2 and n = 0, so h halves; the expectation of 1 is 0.2 + 0.4."""
    cell = ZoneoutGRU(1, 1, probability=0.2).eval()
    for parameter in cell.parameters():
        torch.nn.init.zeros_(parameter)
    states = cell.unroll(cell.project(torch.ones(1, 2, 1)), torch.ones(1, 1))
    torch.testing.assert_close(states.flatten().tolist(), [0.6, 0.36], rtol=1e-6, atol=0)


def test_zoneout_of_an_lstm_by_hand() -> None:
    """With weights of zero c halves, and h is tanh(c) / 2 of the memory without zoneout."""
    cell = ZoneoutLSTM(1, 1, memory_probability=0.25, hidden_probability=0.5).eval()
    for parameter in cell.parameters():
        torch.nn.init.zeros_(parameter)
    start = torch.tensor([[0.4, 2.0]])
    states = cell.unroll(cell.project(torch.ones(1, 1, 1)), start)
    expected = [0.5 * 0.4 + 0.5 * tanh(1.0) / 2, 0.25 * 2 + 0.75 * 1]
    torch.testing.assert_close(states.flatten().tolist(), expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(cell(cell.project(torch.ones(1, 1)), start), states[:, 0])


@pytest.mark.parametrize("fused", [True, False])
def test_hidden_state_and_memory_have_their_own_probabilities(fused: bool) -> None:
    cell = ZoneoutLSTM(INPUT, HIDDEN, memory_probability=1.0, hidden_probability=0.0, fused=fused)
    projected, start = (tensor.float() for tensor in given(cell))
    states = cell.unroll(projected, start)
    assert torch.equal(states[:, -1, HIDDEN:], start[:, HIDDEN:])
    assert (states[:, 0, :HIDDEN] != start[:, :HIDDEN]).all()


def test_the_directions_of_an_encoder_draw_apart() -> None:
    torch.manual_seed(1)
    encoder = RecurrentEncoder(
        INPUT, cell=partial(ZoneoutGRU, probability=0.5), hidden_size=50, dropout=0.0
    )
    forth, back = encoder.layers[0]  # type: ignore[misc]
    back.load_state_dict(forth.state_dict())
    states = encoder(torch.ones(1, 3, INPUT), torch.ones(1, 3, dtype=torch.bool)).states
    assert not torch.equal(states[0, 0, :50] == 0, states[0, 2, 50:] == 0)
    assert 0.2 < (states[0, 0, :50] == 0).float().mean() < 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_zoneout_runs_under_autocast(kind: type[Any]) -> None:
    cell, inputs = make(kind, 0.2).float(), torch.randn(BATCH, STEPS, INPUT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        projected = cell.project(inputs)
        states = cell.unroll(projected, torch.zeros(BATCH, cell.state_size), MASK)
        stepped = cell(projected[:, 0], torch.zeros(BATCH, cell.state_size))
    states.float().sum().backward()
    assert states.dtype == torch.bfloat16 and stepped.isfinite().all()
    assert cell.weight_hidden.grad.isfinite().all()
    assert cell.weight_hidden.grad.dtype == torch.float32


@pytest.mark.parametrize(
    ("kind", "options", "draws"),
    [
        (ZoneoutGRU, {"probability": 0.1}, True),
        (ZoneoutGRU, {"probability": 0.0}, False),
        (ZoneoutGRU, {"probability": 1.0}, False),
        (ZoneoutLSTM, {"memory_probability": 0.1, "hidden_probability": 0.0}, True),
        (ZoneoutLSTM, {"memory_probability": 0.0, "hidden_probability": 0.1}, True),
        (ZoneoutLSTM, {"memory_probability": 1.0, "hidden_probability": 0.0}, False),
        (GRU, {}, False),
    ],
)
def test_a_class_knows_whether_it_draws(kind: type[Cell], options: Any, draws: bool) -> None:
    assert kind.has_dropout(options) is draws
