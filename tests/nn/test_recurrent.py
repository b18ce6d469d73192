import pytest
import torch
from torch import Tensor, nn

from nmt.nn.recurrent import CELLS, GRU, LSTM, Cell, unroll

BATCH, STEPS, INPUT, HIDDEN = 3, 6, 4, 5
MASK = torch.arange(STEPS) < torch.tensor([[6], [3], [1]])


@pytest.fixture(params=sorted(CELLS))
def cell(request: pytest.FixtureRequest) -> Cell:
    torch.manual_seed(1)
    return CELLS[request.param](INPUT, HIDDEN).double()


def inputs() -> Tensor:
    torch.manual_seed(2)
    return torch.randn(BATCH, STEPS, INPUT, dtype=torch.double)


def test_a_sequence_is_its_steps(cell: Cell) -> None:
    projected = cell.project(inputs())
    state = torch.zeros(BATCH, cell.state_size, dtype=torch.double)
    states = cell.unroll(projected, state)
    for step in range(STEPS):
        state = cell(projected[:, step], state)
        torch.testing.assert_close(states[:, step], state)


def test_a_masked_step_leaves_the_state(cell: Cell) -> None:
    state = torch.randn(BATCH, cell.state_size, dtype=torch.double)
    states = cell.unroll(cell.project(inputs()), state, MASK)
    torch.testing.assert_close(states[1, 2:], states[1, 2].expand(4, -1))
    unmasked = cell.unroll(cell.project(inputs()), state)
    torch.testing.assert_close(states[MASK], unmasked[MASK])


def test_fast_equals_plain_in_values_and_gradients(cell: Cell) -> None:
    for mask in (None, MASK, MASK.flip(1)):
        results = []
        for run in (cell.unroll, lambda *given: unroll(cell, *given)):
            projected = cell.project(inputs()).detach().requires_grad_()
            torch.manual_seed(3)
            state = torch.randn(BATCH, cell.state_size, dtype=torch.double, requires_grad=True)
            states = run(projected, state, mask)
            loss = (states * torch.randn(states.shape, dtype=torch.double)).sum()
            wanted = [projected, state, cell.weight_hidden, cell.bias_hidden]
            results.append([states, *torch.autograd.grad(loss, wanted)])
        for fast, plain in zip(*results, strict=True):
            torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-12)


def test_gradients_are_those_of_finite_differences(cell: Cell) -> None:
    projected = cell.project(inputs()[:2, :3]).detach().requires_grad_()
    state = torch.randn(2, cell.state_size, dtype=torch.double, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, False, False]])

    def run(projected: Tensor, state: Tensor, weight: Tensor) -> Tensor:
        weights = {"cell.weight_hidden": weight}
        return torch.func.functional_call(Unrolled(cell), weights, (projected, state, mask))

    weight = cell.weight_hidden.detach().requires_grad_()
    assert torch.autograd.gradcheck(run, (projected, state, weight))


class Unrolled(nn.Module):
    """A cell whose forward pass is a whole sequence."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, projected: Tensor, state: Tensor, mask: Tensor) -> Tensor:
        return self.cell.unroll(projected, state, mask)


def copy_weights(cell: Cell, library: nn.GRU | nn.LSTM) -> None:
    with torch.no_grad():
        library.weight_ih_l0.copy_(cell.weight_input)
        library.weight_hh_l0.copy_(cell.weight_hidden)
        library.bias_ih_l0.copy_(cell.bias_input)
        library.bias_hh_l0.copy_(cell.bias_hidden)


def test_gru_agrees_with_torch() -> None:
    cell, library = GRU(INPUT, HIDDEN).double(), nn.GRU(INPUT, HIDDEN, batch_first=True).double()
    nn.init.normal_(cell.bias_hidden)
    copy_weights(cell, library)
    start = torch.randn(BATCH, HIDDEN, dtype=torch.double)
    expected, _ = library(inputs(), start.unsqueeze(0))
    torch.testing.assert_close(cell.unroll(cell.project(inputs()), start), expected)


def test_lstm_agrees_with_torch() -> None:
    cell, library = LSTM(INPUT, HIDDEN).double(), nn.LSTM(INPUT, HIDDEN, batch_first=True).double()
    copy_weights(cell, library)
    start = torch.randn(BATCH, 2 * HIDDEN, dtype=torch.double)
    first = (start[None, :, :HIDDEN].contiguous(), start[None, :, HIDDEN:].contiguous())
    expected, _ = library(inputs(), first)
    states = cell.unroll(cell.project(inputs()), start)
    torch.testing.assert_close(cell.output(states), expected)


def test_each_recurrent_gate_starts_orthogonal(cell: Cell) -> None:
    for gate in cell.weight_hidden.chunk(cell.gate_size // HIDDEN):
        torch.testing.assert_close(
            gate @ gate.t(), torch.eye(HIDDEN, dtype=torch.double), rtol=0, atol=1e-5
        )


def test_the_lstm_starts_by_remembering() -> None:
    cell = LSTM(INPUT, HIDDEN)
    assert cell.bias_input.view(4, HIDDEN)[:, 0].tolist() == [0.0, 1.0, 0.0, 0.0]


def test_the_fused_gru_runs_under_autocast() -> None:
    cell = GRU(INPUT, HIDDEN)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        projected = cell.project(inputs().float())
        states = cell.unroll(projected, torch.zeros(BATCH, HIDDEN), MASK)
        states.float().sum().backward()
    assert cell.weight_hidden.grad is not None and cell.weight_hidden.grad.dtype == torch.float32
