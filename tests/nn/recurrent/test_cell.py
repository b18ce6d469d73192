import pytest
import torch
from torch import Tensor, nn

from nmt.nn.recurrent.cell import Cell
from nmt.nn.recurrent.gru import GRU, DeepGRU
from nmt.nn.recurrent.layer_norm import LayerNormGRU, LayerNormLSTM
from nmt.nn.recurrent.lstm import LSTM
from nmt.nn.recurrent.minimal import MinGRU, MinLSTM
from nmt.nn.recurrent.rnn import PlainRNN
from nmt.nn.recurrent.sru import SRU, SSRU
from nmt.nn.recurrent.table import CELLS
from nmt.nn.recurrent.zoneout import ZoneoutGRU, ZoneoutLSTM

BATCH, STEPS, INPUT, HIDDEN = 3, 6, 4, 5
MASK = torch.arange(STEPS) < torch.tensor([[6], [3], [1]])
OF_STATE = {"weight_hidden", "bias_hidden", "vectors"}
"""Parameters that multiply the state, or are added to such a product."""


@pytest.fixture(params=sorted(CELLS))
def cell(request: pytest.FixtureRequest) -> Cell:
    """A cell in evaluation, as zoneout draws at random in training."""
    torch.manual_seed(1)
    cell = CELLS[request.param](INPUT, HIDDEN).double().eval()
    if isinstance(cell, SRU):
        nn.init.normal_(cell.vectors)  # they start at zero
    return cell


def inputs() -> Tensor:
    torch.manual_seed(2)
    return torch.randn(BATCH, STEPS, INPUT, dtype=torch.double)


def test_unroll_equals_single_steps(cell: Cell) -> None:
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
    fast_paths = (cell.fast_path, None)
    for mask in (None, MASK, MASK.flip(1)):
        results = []
        for cell.fast_path in fast_paths:
            projected = cell.project(inputs()).detach().requires_grad_()
            torch.manual_seed(3)
            state = torch.randn(BATCH, cell.state_size, dtype=torch.double, requires_grad=True)
            states = cell.unroll(projected, state, mask)
            loss = (states * torch.randn(states.shape, dtype=torch.double)).sum()
            of_state = [p for name, p in cell.named_parameters() if name in OF_STATE]
            wanted = [projected, state, *of_state]
            results.append([states, *torch.autograd.grad(loss, wanted)])
        for fast, plain in zip(*results, strict=True):
            torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-12)


def test_gradients_are_those_of_finite_differences(cell: Cell) -> None:
    projected = cell.project(inputs()[:2, :3]).detach().requires_grad_()
    state = torch.randn(2, cell.state_size, dtype=torch.double, requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, False, False]])

    names = [name for name, _ in cell.named_parameters() if name in OF_STATE]

    def run(projected: Tensor, state: Tensor, *weights: Tensor) -> Tensor:
        given = {f"cell.{name}": weight for name, weight in zip(names, weights, strict=True)}
        return torch.func.functional_call(Unrolled(cell), given, (projected, state, mask))

    weights = [cell.get_parameter(name).detach().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(run, (projected, state, *weights), fast_mode=True)


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
    torch.testing.assert_close(cell.hidden(states), expected)


def test_a_state_is_made_of_its_gates_bit_for_bit(cell: Cell) -> None:
    state = torch.randn(BATCH, cell.state_size, dtype=torch.double)
    projected = cell.project(inputs()[:, 0])
    gates = dict(zip(cell.gate_names, cell.gate_values(projected, state), strict=True))
    assert cell.kept_gate is None or cell.kept_gate in gates
    if isinstance(cell, LSTM):
        memory = gates["forget_gate"] * state[:, HIDDEN:] + gates["input_gate"] * gates["candidate"]
        after = torch.cat([gates["output_gate"] * cell.squash(memory), memory], dim=1)
    elif isinstance(cell, GRU):
        after = torch.lerp(gates["candidate"], state, gates["update_gate"])
        for transition in getattr(cell, "transitions", ()):
            after = transition(after, None)
    elif cell.is_elementwise:
        memory = torch.lerp(gates["candidate"], state[:, -HIDDEN:], gates[str(cell.kept_gate)])
        shown = {MinGRU: [], MinLSTM: [], SSRU: [memory.relu()]}.get(type(cell))
        if shown is None:  # the last block of SRU is the highway
            shown = [torch.lerp(projected[:, -HIDDEN:], memory, gates["reset_gate"])]
        after = torch.cat([*shown, memory], dim=1)
    else:
        assert gates == {}
        return
    if isinstance(cell, ZoneoutGRU | ZoneoutLSTM):
        kept = cell.zoneout.fill(torch.empty_like(after))
        after = torch.lerp(after, state, kept)
    assert torch.equal(cell(projected, state), after)


def test_each_recurrent_gate_starts_orthogonal(cell: Cell) -> None:
    if cell.is_elementwise:
        assert not {"weight_hidden", "bias_hidden"} & dict(cell.named_parameters()).keys()
        return
    for gate in cell.weight_hidden.chunk(cell.gate_size // HIDDEN):
        torch.testing.assert_close(
            gate @ gate.t(), torch.eye(HIDDEN, dtype=torch.double), rtol=0, atol=1e-5
        )


def test_each_gate_of_a_further_transition_starts_orthogonal() -> None:
    for gate in DeepGRU(INPUT, HIDDEN).get_parameter("transitions.0.hidden.weight").chunk(3):
        torch.testing.assert_close(gate @ gate.t(), torch.eye(HIDDEN), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [LSTM, LayerNormLSTM])
def test_the_lstm_starts_by_remembering(kind: type[LSTM]) -> None:
    """The bias of the forget gate is 1; it stands behind a norm, which would take it away."""
    cell = kind(INPUT, HIDDEN)
    name = "norm_input.bias" if kind is LayerNormLSTM else "bias_input"
    assert cell.get_parameter(name).view(4, HIDDEN)[:, 0].tolist() == [0.0, 1.0, 0.0, 0.0]
    if kind is LayerNormLSTM:
        assert (cell.bias_input == 0).all()


@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_fused_cells_run_under_autocast(kind: type[GRU] | type[LSTM]) -> None:
    cell = kind(INPUT, HIDDEN)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        projected = cell.project(inputs().float())
        states = cell.unroll(projected, torch.zeros(BATCH, cell.state_size), MASK)
        states.float().sum().backward()
    assert cell.weight_hidden.grad is not None and cell.weight_hidden.grad.dtype == torch.float32


def test_plain_rnn_agrees_with_torch() -> None:
    for activation in ("tanh", "relu"):
        ours = PlainRNN(INPUT, HIDDEN, activation=activation).double()  # type: ignore[arg-type]
        library = nn.RNN(INPUT, HIDDEN, nonlinearity=activation, batch_first=True).double()
        copy_weights(ours, library)  # type: ignore[arg-type]
        if activation == "relu":
            nn.init.normal_(ours.weight_hidden)
            learnt = ours.weight_hidden.detach() / HIDDEN**0.5
            library.weight_hh_l0.data = torch.eye(HIDDEN, dtype=torch.double) + learnt
        expected, _ = library(inputs())
        state = torch.zeros(BATCH, HIDDEN, dtype=torch.double)
        torch.testing.assert_close(ours.unroll(ours.project(inputs()), state), expected)


def test_relu_rnn_starts_by_keeping_its_state() -> None:
    """Le 2015: the identity; a hundred steps later the state is neither gone nor has it burst."""
    torch.manual_seed(1)
    cell = PlainRNN(INPUT, HIDDEN, activation="relu")
    state = torch.rand(2, HIDDEN)
    after = cell.unroll(cell.project(torch.randn(2, 100, INPUT)), state)[:, -1]
    assert 0.3 * state.norm() < after.norm() < 3 * state.norm()


def test_recurrent_dropout_preserves_the_scale_of_a_relu_rnn() -> None:
    """By a mask of 2 and 0 on the state itself, a hundred steps would come to 2 ** 100 and 0."""
    cell = PlainRNN(INPUT, HIDDEN, activation="relu")
    state, silence = torch.rand(2, HIDDEN), torch.zeros(2, 100, INPUT)
    dropout_mask = 2.0 * (torch.arange(HIDDEN) % 2).expand(2, HIDDEN)
    after = cell.unroll(cell.project(silence), state, dropout_mask=dropout_mask)[:, -1]
    torch.testing.assert_close(after, state)


def test_a_step_of_adam_leaves_the_memory_of_a_relu_rnn_almost_as_it_was() -> None:
    """All of the matrix in one direction, as at worst: by lr times the root of H, not times H."""
    torch.manual_seed(1)
    cell = PlainRNN(4, 256, activation="relu")
    optimizer = torch.optim.Adam([cell.weight_hidden], lr=1e-3)
    state = torch.rand(2, 256)
    (-cell(cell.project(torch.zeros(2, 4)), state).sum()).backward()
    optimizer.step()
    recurrent = cell.project_hidden(torch.eye(256), None).detach()
    assert torch.linalg.matrix_norm(recurrent, ord=2) == pytest.approx(1 + 1e-3 * 16, abs=1e-4)


def test_layer_norm_gru_by_its_formula() -> None:
    """Ba 2016, eq. 20-22: one normalisation for the gates, one for the candidate, of each side."""
    torch.manual_seed(1)
    cell = LayerNormGRU(INPUT, HIDDEN)
    words, state = torch.randn(2, INPUT), torch.randn(2, HIDDEN)

    def normalized(summed: Tensor) -> tuple[Tensor, ...]:
        gates = nn.functional.layer_norm(summed[:, : 2 * HIDDEN], [2 * HIDDEN])
        candidate = nn.functional.layer_norm(summed[:, 2 * HIDDEN :], [HIDDEN])
        return torch.cat([gates, candidate], dim=-1).chunk(3, -1)

    xr, xz, xn = normalized(words @ cell.weight_input.t() + cell.bias_input)
    hr, hz, hn = normalized(state @ cell.weight_hidden.t() + cell.bias_hidden)
    update = torch.sigmoid(xz + hz)
    expected = (1 - update) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + update * state
    torch.testing.assert_close(cell(cell.project(words), state), expected)
    loud = cell(cell.project(1000 * words), state)
    torch.testing.assert_close(loud, expected, rtol=1e-3, atol=1e-3)  # the size is gone


@pytest.mark.parametrize("name", ["layer_norm_gru", "layer_norm_lstm"])
def test_layer_norm_removes_the_scale_of_a_context(name: str) -> None:
    torch.manual_seed(1)
    to_gates = CELLS[name](INPUT, HIDDEN).gates_from(3)
    context = torch.randn(2, 3)
    torch.testing.assert_close(to_gates(1000 * context), to_gates(context), rtol=1e-3, atol=1e-3)


def normalized(summed: Tensor, norm: nn.LayerNorm) -> Tensor:
    """``(x - mean) / sqrt(variance + 1e-5) * weight + bias``, of each row."""
    away = summed - summed.mean(-1, keepdim=True)
    spread = (away.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return away / spread * norm.weight + norm.bias


def test_layer_norm_lstm_by_its_formula() -> None:
    """Ba 2016, eq. 29-31."""
    torch.manual_seed(1)
    cell = LayerNormLSTM(INPUT, HIDDEN)
    bias = cell.norm_input.bias.detach().clone().view(4, HIDDEN)
    assert (bias[1] == 1).all() and bias[[0, 2, 3]].abs().max() == 0, "it remembers at first"
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.1)  # small, so that what is added to the variance counts
    words, state = torch.randn(2, INPUT), torch.randn(2, 2 * HIDDEN)
    hidden, memory = state.chunk(2, -1)
    gates = normalized(words @ cell.weight_input.t() + cell.bias_input, cell.norm_input)
    gates = gates + normalized(hidden @ cell.weight_hidden.t() + cell.bias_hidden, cell.norm_hidden)
    entry, forget, candidate, leave = gates.chunk(4, -1)
    memory = torch.sigmoid(forget) * memory + torch.sigmoid(entry) * torch.tanh(candidate)
    hidden = torch.sigmoid(leave) * torch.tanh(normalized(memory, cell.norm_memory))
    expected = torch.cat([hidden, memory], -1)
    torch.testing.assert_close(cell(cell.project(words), state), expected)


def test_extra_inputs_have_their_own_layer_norm() -> None:
    torch.manual_seed(1)
    context = torch.randn(2, 3)
    lstm = LayerNormLSTM(INPUT, HIDDEN).gates_from(3)
    gru = LayerNormGRU(INPUT, HIDDEN).gates_from(3)
    assert isinstance(lstm, nn.Sequential) and isinstance(gru, nn.Sequential)
    for layer in (lstm, gru):
        for parameter in layer.parameters():
            nn.init.normal_(parameter, std=0.1)
    torch.testing.assert_close(lstm(context), normalized(lstm[0](context), lstm[1]))
    summed = gru[0](context)
    gates = normalized(summed[:, : 2 * HIDDEN], gru[1].gates)  # type: ignore[arg-type]
    candidate = normalized(summed[:, 2 * HIDDEN :], gru[1].candidate)  # type: ignore[arg-type]
    torch.testing.assert_close(gru(context), torch.cat([gates, candidate], dim=-1))


@pytest.mark.parametrize("kind", [GRU, LSTM, PlainRNN])
def test_each_gate_starts_as_wide_as_glorot_has_it_for_one_layer(kind: type[Cell]) -> None:
    torch.manual_seed(1)
    cell = kind(60, 40)
    from_context = cell.gates_from(80)
    assert isinstance(from_context, nn.Linear) and from_context.bias is None
    for weight, size in ((cell.weight_input, 60), (from_context.weight, 80)):
        bound = (6 / (size + 40)) ** 0.5
        for gate in weight.detach().chunk(cell.num_gates):
            assert 0.95 * bound < gate.abs().max() <= bound
            assert gate.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    assert not cell.bias_hidden.any()


def test_input_weights_of_a_relu_rnn_start_small() -> None:
    torch.manual_seed(1)
    cell = PlainRNN(60, 40, activation="relu")
    from_context = cell.gates_from(80)
    assert isinstance(from_context, nn.Linear)
    for weight in (cell.weight_input, from_context.weight):
        assert weight.std().item() == pytest.approx(0.01, rel=0.05)


def test_deep_gru_equals_its_transitions_in_sequence() -> None:
    """The others are GRUs that read nothing: those of torch with an input of zeros."""
    torch.manual_seed(1)
    cell = DeepGRU(INPUT, HIDDEN, depth=3)
    words, state = torch.randn(2, INPUT), torch.randn(2, HIDDEN)
    found = cell(cell.project(words), state)
    expected = GRU.forward(cell, cell.project(words), state)
    for transition in cell.transitions:
        library = nn.GRUCell(1, HIDDEN)
        with torch.no_grad():
            library.weight_ih.zero_()
            library.bias_ih.zero_()
            library.bias_ih[2 * HIDDEN :] = transition.candidate_bias  # type: ignore[union-attr]
            library.weight_hh.copy_(transition.hidden.weight)  # type: ignore[union-attr, arg-type]
            library.bias_hh.copy_(transition.hidden.bias)  # type: ignore[union-attr, arg-type]
        expected = library(torch.zeros(2, 1), expected)
    torch.testing.assert_close(found, expected)


def test_recurrent_dropout_hides_the_same_numbers_of_the_state_from_the_gates(cell: Cell) -> None:
    dropout_mask = torch.ones(BATCH, HIDDEN, dtype=torch.double)
    dropout_mask[:, 0] = 0.0
    projected = cell.project(inputs())
    state = torch.randn(BATCH, cell.state_size, dtype=torch.double)
    dropped = cell.unroll(projected, state, None, dropout_mask)
    with torch.no_grad():
        for name, weight in cell.named_parameters():
            if name in ("weight_hidden", "transitions.0.hidden.weight"):
                weight[:, 0] = 0.0
            if name == "vectors":
                weight.view(2, HIDDEN)[:, 0] = 0.0
    expected = cell.unroll(projected, state)
    torch.testing.assert_close(dropped, expected)
    cell.fast_path = None
    torch.testing.assert_close(cell.unroll(projected, state, None, dropout_mask), expected)


@pytest.mark.parametrize("base", [kind for kind in CELLS.values() if kind.fast_path is not None])
def test_a_cell_with_a_step_of_its_own_takes_the_plain_loop(base: type[Cell]) -> None:
    class Halved(base):  # type: ignore[misc, valid-type]
        def forward(
            self, projected: Tensor, state: Tensor, dropout_mask: Tensor | None = None
        ) -> Tensor:
            result: Tensor = super().forward(projected, state, dropout_mask) / 2
            return result

    assert base(3, 4).fast_path is not None  # type: ignore[call-arg]
    halved = Halved(3, 4).eval()
    assert halved.fast_path is None and halved.tape is None
    projected, state = halved.project(torch.randn(2, 1, 3)), torch.randn(2, halved.state_size)
    after = halved(projected[:, 0], state)
    torch.testing.assert_close(halved.unroll(projected, state)[:, 0], after)
