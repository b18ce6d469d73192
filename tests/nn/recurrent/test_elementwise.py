"""Cells that run over a sequence as a scan: minGRU, minLSTM, SRU and SSRU."""

from math import exp, log
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.nn.recurrent.cell import Cell
from nmt.nn.recurrent.elementwise import ElementwiseCell, scan
from nmt.nn.recurrent.minimal import MinGRU, MinLSTM
from nmt.nn.recurrent.sru import SRU, SSRU

KINDS: list[type[Any]] = [MinGRU, MinLSTM, SRU, SSRU]
BATCH, INPUT, HIDDEN = 3, 4, 5
SCALES = (1.0, 30.0, 1e4)


def make(kind: type[Any], dtype: torch.dtype = torch.double, **options: bool) -> ElementwiseCell:
    torch.manual_seed(1)
    cell = kind(INPUT, HIDDEN, **options).to(dtype)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_()
    assert isinstance(cell, ElementwiseCell)
    return cell


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


def results(cell: Cell, projected: Tensor, start: Tensor, mask: Tensor | None) -> list[Tensor]:
    """States of a sequence, and the gradients of a random function of them."""
    given = [projected.clone().requires_grad_(), start.clone().requires_grad_()]
    states = cell.unroll(*given, mask)
    factors = torch.randn(states.shape, generator=torch.Generator().manual_seed(5))
    wanted = [*given, *(p for name, p in cell.named_parameters() if name == "vectors")]
    loss = (states * factors.to(states.dtype)).sum()
    return [states, *torch.autograd.grad(loss, wanted)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("num_steps", "scale"),
    [*((1, scale) for scale in SCALES), (2, 1.0), *((9, scale) for scale in SCALES), (500, 1.0)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_scan_equals_the_plain_loop(
    kind: type[Any], num_steps: int, scale: float, dtype: torch.dtype
) -> None:
    """Also with saturated gates, large inputs, any mask, and a start state that is not zero."""
    cell = make(kind, dtype)
    projected = scale * torch.randn(BATCH, num_steps, cell.gate_size, dtype=dtype)
    start = torch.randn(BATCH, cell.state_size, dtype=dtype)
    some = torch.rand(BATCH, num_steps) < 0.7
    some[0], some[1, 0] = False, False  # nothing is real; the first step is padding
    for mask in (None, some):
        fast_paths, found = (cell.fast_path, None), []
        for cell.fast_path in fast_paths:
            found.append(results(cell, projected, start, mask))
        cell.fast_path = fast_paths[0]
        tolerance = 1e-5 if dtype == torch.float32 else 1e-11
        for fast, plain in zip(*found, strict=True):
            assert fast.isfinite().all()
            size = max(1.0, plain.abs().max().item())
            torch.testing.assert_close(fast, plain, rtol=tolerance, atol=tolerance * size)


@pytest.mark.parametrize("kind", KINDS)
def test_a_masked_step_keeps_the_whole_state(kind: type[Any]) -> None:
    cell = make(kind)
    start = torch.randn(1, cell.state_size, dtype=torch.double)
    mask = torch.tensor([[False, True, False, False, True, False]])
    projected = torch.randn(1, 6, cell.gate_size, dtype=torch.double)
    states = cell.unroll(projected, start, mask)[0]
    after = cell.unroll(projected[:, [1, 4]], start)[0]
    torch.testing.assert_close(states, torch.stack([start[0], *after[[0, 0, 0, 1, 1]]]))
    assert torch.equal(states[0], start[0]) and torch.equal(states[2], states[1])
    padding = torch.where(mask.unsqueeze(2), projected, 1e6)
    assert torch.equal(cell.unroll(padding, start, mask)[0], states)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_gets_no_gradient(kind: type[Any]) -> None:
    cell, mask = make(kind), torch.tensor([[False, True, True, False]])
    projected = torch.randn(1, 4, cell.gate_size, dtype=torch.double)
    _, gradient, *_ = results(cell, projected, torch.ones(1, cell.state_size).double(), mask)
    assert not gradient[0, [0, 3]].any() and gradient[0, [1, 2]].abs().sum() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_steps_do_not_run_one_by_one(kind: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    step = kind.forward

    def forward(self: Cell, *given: Any) -> Any:
        calls.append(1)
        return step(self, *given)

    monkeypatch.setattr(kind, "forward", forward)
    for options, count in (({}, 0), ({"fused": False}, 7)):
        cell = make(kind, **options)
        projected = torch.randn(2, 7, cell.gate_size, dtype=torch.double)
        cell.unroll(projected, torch.zeros(2, cell.state_size, dtype=torch.double))
        assert len(calls) == count
        assert cell.slow_path_option == ("fused: false of the cell" if options else None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_backward_pass_gives_the_same_gradients(kind: type[Any]) -> None:
    """What the first pass needs is not overwritten, and neither are the given gradients."""
    cell = make(kind)
    projected = torch.randn(2, 4, cell.gate_size, dtype=torch.double, requires_grad=True)
    states = cell.unroll(projected, torch.ones(2, cell.state_size, dtype=torch.double))
    given = torch.randn_like(states)
    kept = given.clone()
    first, second = (
        torch.autograd.grad(states, projected, given, retain_graph=True)[0] for _ in range(2)
    )
    assert torch.equal(first, second) and torch.equal(given, kept)


@pytest.mark.parametrize("kind", KINDS)
def test_scans_run_under_autocast(kind: type[Any]) -> None:
    cell, inputs = make(kind, torch.float32), torch.randn(BATCH, 6, INPUT)
    start, mask = (
        torch.randn(BATCH, cell.state_size),
        torch.arange(6) < torch.tensor([[6], [3], [1]]),
    )
    exact = cell.unroll(cell.project(inputs), start, mask)
    dropout_mask = torch.ones(BATCH, HIDDEN)
    for given in (None, dropout_mask):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            projected = cell.project(inputs)
            states = cell.unroll(projected, start, mask, given)
            stepped = cell(projected[:, 0], start, given)
        assert projected.dtype == states.dtype == stepped.dtype == torch.bfloat16
        states.float().sum().backward()
        torch.testing.assert_close(states.float(), exact, rtol=0.05, atol=0.05)
        torch.testing.assert_close(stepped, states[:, 0])
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in cell.parameters())


def test_the_highway_of_sru_has_the_precision_of_the_gates() -> None:
    cell = SRU(HIDDEN, HIDDEN)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert cell.project(torch.randn(2, HIDDEN)).dtype == torch.bfloat16


def test_the_vectors_of_sru_have_the_precision_of_the_gates() -> None:
    """In bfloat16, v = 1 + 2^-10 is 1, so f = sigmoid(v * 256 - 256) is 1/2, and c' = 128."""
    cell = SRU(1, 1)
    torch.nn.init.constant_(cell.vectors, 1 + 2**-10)
    projected = torch.tensor([[[-256.0, 0.0, 0.0, 0.0]]], dtype=torch.bfloat16)
    start = torch.full((1, 2), 256.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = cell.unroll(projected, start), cell(projected[:, 0], start).unsqueeze(1)
    assert [state[0, 0, 1].item() for state in states] == [128.0, 128.0]


def test_the_scan_by_hand() -> None:
    """f is 3/4, then 1/4: 3/4 * 2 + 1/4 * 6 = 3, and 1/4 * 3 - 3/4 * 5 = -3."""
    logits = torch.tensor([[[log(3)], [-log(3)]]], dtype=torch.double, requires_grad=True)
    candidates = torch.tensor([[[6.0], [-5.0]]], dtype=torch.double, requires_grad=True)
    start = torch.tensor([[2.0]], dtype=torch.double, requires_grad=True)
    states = scan(logits, candidates, start, None)
    torch.testing.assert_close(states.flatten().tolist(), [3.0, -3.0])
    # d s_2 = 1, d s_1 = 1 + 1/4; d l = d s * (s - x~) * f * (1 - f)
    of_logits, of_candidates, of_start = torch.autograd.grad(
        states.sum(), [logits, candidates, start]
    )
    torch.testing.assert_close(of_logits.flatten().tolist(), [1.25 * -4 * 3 / 16, 8 * 3 / 16])
    torch.testing.assert_close(of_candidates.flatten().tolist(), [1.25 / 4, 0.75])
    torch.testing.assert_close(of_start.item(), 1.25 * 0.75)


def test_gates_of_a_scan_that_read_the_state_by_hand() -> None:
    """With v = log 3 and l = 0, f is 3/4 for a state of 1: 3/4 * 1 + 1/4 * 2 = 5/4."""
    start, weight = (
        torch.tensor([[x]], dtype=torch.double, requires_grad=True) for x in (1, log(3))
    )
    logits = torch.zeros(1, 1, 1, dtype=torch.double, requires_grad=True)
    state = scan(logits, torch.full((1, 1, 1), 2.0, dtype=torch.double), start, None, weight)
    torch.testing.assert_close(state.item(), 1.25)
    # d l = (s - x~) * f * (1 - f), d v = d l * s, d s = f + d l * v
    of_logits, of_start, of_weight = torch.autograd.grad(state.sum(), [logits, start, weight])
    torch.testing.assert_close(of_logits.item(), -3 / 16)
    torch.testing.assert_close(of_weight.item(), -3 / 16)
    torch.testing.assert_close(of_start.item(), 3 / 4 - 3 / 16 * log(3))


def run_by_hand(cell: Cell, weight: list[float], inputs: list[float], start: list[float]) -> Any:
    """States after each input, of one unit with one input; the biases are zero."""
    with torch.no_grad():
        cell.weight_input.copy_(torch.tensor(weight).unsqueeze(1))
        cell.bias_input.zero_()
    projected = cell.double().project(torch.tensor([inputs], dtype=torch.double).unsqueeze(2))
    states = cell.unroll(projected, torch.tensor([start], dtype=torch.double))
    stepped = cell(projected[:, 0], torch.tensor([start], dtype=torch.double))
    torch.testing.assert_close(states[:, 0], stepped)
    return states[0].tolist()


def test_min_gru_by_hand() -> None:
    """x = 1: z = 3/4, n = 2 + 1/2. x = -1: z = 1/4, n = sigmoid(-2)."""
    states = run_by_hand(MinGRU(1, 1), [log(3), 2.0], [1.0, -1.0], [1.0])
    torch.testing.assert_close(states, [[1.375], [0.75 * sigmoid(-2) + 0.25 * 1.375]])
    assert states[1][0] == pytest.approx(0.4331522, abs=1e-7)


def test_min_lstm_by_hand() -> None:
    """f = 3/4 and i = 1/2 make 0.6 and 0.4; for x = -1, f = 1/4 and i = 1/2 make 1/3 and 2/3."""
    states = run_by_hand(MinLSTM(1, 1), [log(3), 0.0, 2.0], [1.0, -1.0], [1.0])
    torch.testing.assert_close(states, [[1.6], [1.6 / 3 + sigmoid(-2) * 2 / 3]])
    assert states[1][0] == pytest.approx(0.6128019, abs=1e-7)


def test_sru_by_hand() -> None:
    """c = 1: f = 3/4, r = 1/2, c' = 3/4 + 2/4 = 5/4, and h' = 1/2 * 5/4 + 1/2 * 2."""
    cell = SRU(1, 1)
    with torch.no_grad():
        cell.vectors.copy_(torch.tensor([log(3), -log(3)]))
    (first, second) = run_by_hand(cell, [0.0, log(3) / 2, 1.0], [2.0, -1.0], [9.0, 1.0])
    torch.testing.assert_close(first, [1.625, 1.25])
    f, r = sigmoid(1.25 * log(3)), sigmoid(-1.75 * log(3))
    memory = f * 1.25 - (1 - f)
    torch.testing.assert_close(second, [r * memory - (1 - r), memory])
    assert second == pytest.approx([-0.7709656, 0.7952912], abs=1e-6)


def test_ssru_by_hand() -> None:
    """f = 3/4: 3/4 - 5/4 = -1/2, which is shown as 0; then f = 1/4: -1/8 + 15/4."""
    states = run_by_hand(SSRU(1, 1), [log(3), -5.0], [1.0, -1.0], [7.0, 1.0])
    torch.testing.assert_close(states, [[0.0, -0.5], [3.625, 3.625]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_min_lstm_compares_gates_that_are_closed(dtype: torch.dtype) -> None:
    """In floating point, both gates are 0; their ratio is exp(x_f - x_i)."""
    cell = MinLSTM(1, 1).to(dtype)
    projected = torch.tensor([[-900.0, -900.0 - log(3), 1.5], [900.0, 950.0, 1.5]], dtype=dtype)
    after = cell(projected, torch.ones(2, 1, dtype=dtype))
    torch.testing.assert_close(
        after.flatten().tolist(), [0.75 + 0.25 * 2, 0.5 + 0.5 * 2], rtol=1e-4, atol=0
    )


@pytest.mark.parametrize("kind", [MinGRU, MinLSTM])
def test_candidates_are_positive_and_continuous(kind: type[Any]) -> None:
    """g(x) is x + 1/2 from 0 on, and sigmoid(x) below; both are 1/2 at 0."""
    cell = make(kind)
    values = torch.tensor([-1e4, -2.0, -1e-9, 0.0, 1e-9, 3.0, 1e4], dtype=torch.double)
    _, found = cell.averaging(values.unsqueeze(1).expand(-1, cell.gate_size))
    expected = [0.0, sigmoid(-2.0), 0.5, 0.5, 0.5, 3.5, 1e4 + 0.5]
    torch.testing.assert_close(found[:, 0].tolist(), expected)


def test_the_gate_of_a_scan_may_be_open_or_closed() -> None:
    logits = torch.tensor([[[1e4], [-1e4], [torch.inf], [-torch.inf]]])
    candidates = torch.tensor([[[5.0], [6.0], [7.0], [8.0]]])
    states = scan(logits, candidates, torch.tensor([[-3.0]]), None)
    assert states.flatten().tolist() == [-3.0, 6.0, 6.0, 8.0]


@pytest.mark.parametrize("size", [HIDDEN, INPUT])
def test_the_highway_of_sru_is_the_input_if_it_has_the_size(size: int) -> None:
    cell, inputs = SRU(size, HIDDEN), torch.randn(2, 3, size)
    highway = cell.project(inputs)[..., 3 * HIDDEN :]
    assert cell.weight_input.shape == (3 * HIDDEN if size == HIDDEN else 4 * HIDDEN, size)
    assert cell.bias_input.shape == cell.weight_input.shape[:1]
    if size == HIDDEN:
        assert torch.equal(highway, inputs)
    else:
        assert torch.allclose(highway, inputs @ cell.weight_input[3 * HIDDEN :].t(), atol=1e-6)
    assert cell.gates_from(7)(torch.zeros(2, 7)).shape == (2, 4 * HIDDEN)


def test_the_vectors_of_sru_start_at_zero() -> None:
    assert SRU(INPUT, HIDDEN).vectors.tolist() == [0.0] * 2 * HIDDEN


def test_min_lstm_starts_by_remembering() -> None:
    assert MinLSTM(INPUT, HIDDEN).bias_input.view(3, HIDDEN)[:, 0].tolist() == [1.0, 0.0, 0.0]
    assert not MinGRU(INPUT, HIDDEN).bias_input.any()


@pytest.mark.parametrize("kind", [SRU, SSRU])
def test_the_hidden_state_is_the_first_half(kind: type[Any]) -> None:
    state = torch.arange(2.0 * HIDDEN).view(1, -1)
    assert torch.equal(kind(INPUT, HIDDEN).hidden(state), state[:, :HIDDEN])


def test_recurrent_dropout_of_sru_by_hand() -> None:
    """The mask multiplies what the gates read, so v times 2 is v without one; c is kept whole."""
    cell = make(SRU)
    projected = torch.randn(2, 3, cell.gate_size, dtype=torch.double)
    start = torch.randn(2, cell.state_size, dtype=torch.double)
    dropout_mask = torch.tensor([[2.0] * HIDDEN, [0.0] * HIDDEN], dtype=torch.double)
    dropped = cell.unroll(projected, start, None, dropout_mask)
    for row, factor in enumerate((2.0, 0.0)):
        scaled = make(SRU)
        scaled.get_parameter("vectors").data *= factor
        torch.testing.assert_close(dropped[row], scaled.unroll(projected, start)[row])


@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_graph_has_no_scan_by_hand(
    kind: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is one loop of the graph, for any number of steps."""
    cell = make(kind)
    graph = torch.zeros(2, 3, cell.state_size)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    monkeypatch.setattr("nmt.nn.recurrent.cell._unroll_in_graph", lambda *given: graph)
    projected = torch.randn(2, 3, cell.gate_size, dtype=torch.double)
    assert cell.unroll(projected, torch.zeros(2, cell.state_size).double()) is graph
