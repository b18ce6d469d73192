from collections.abc import Iterator
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from nmt.nn.encoders.recurrent import RecurrentEncoder
from nmt.nn.recurrent.gru import GRU
from nmt.nn.recurrent.lstm import LSTM
from nmt.nn.recurrent.table import CELLS


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_padding_changes_nothing(cell: str, num_layers: int, bidirectional: bool) -> None:
    torch.manual_seed(1)
    encoder = RecurrentEncoder(
        4,
        cell=CELLS[cell],
        hidden_size=5,
        num_layers=num_layers,
        bidirectional=bidirectional,
        dropout=0.0,
    )
    encoder.double().eval()  # zoneout draws at random in training
    sentence = torch.randn(1, 3, 4, dtype=torch.double)
    alone = encoder(sentence, torch.ones(1, 3, dtype=torch.bool))
    padded = torch.full((2, 7, 4), 1e3, dtype=torch.double)
    padded[0, :3] = sentence
    mask = torch.tensor([[True] * 3 + [False] * 4, [True] * 7])
    together = encoder(padded, mask)
    torch.testing.assert_close(together.states[:1, :3], alone.states)
    torch.testing.assert_close(together.final[:1], alone.final)
    options = {"hidden_size": 5, "bidirectional": bidirectional}
    assert together.final.shape == (2, num_layers, RecurrentEncoder.output_size(options))


def test_the_last_states_are_each_directions_last() -> None:
    encoder = RecurrentEncoder(4, hidden_size=5, dropout=0.0)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    encoded = encoder(torch.randn(2, 3, 4), mask)
    torch.testing.assert_close(encoded.final[0, 0, :5], encoded.states[0, 1, :5])
    torch.testing.assert_close(encoded.final[:, 0, 5:], encoded.states[:, 0, 5:])


def test_backward_direction_equals_forward_over_reversed_input() -> None:
    torch.manual_seed(1)
    encoder = RecurrentEncoder(4, hidden_size=5, dropout=0.0)
    (cells,) = encoder.layers
    cells[1].load_state_dict(cells[0].state_dict())  # type: ignore[index]
    inputs, mask = torch.randn(1, 6, 4), torch.ones(1, 6, dtype=torch.bool)
    forth, back = encoder(inputs, mask).states.chunk(2, dim=-1)
    mirrored, _ = encoder(inputs.flip(1), mask).states.chunk(2, dim=-1)
    torch.testing.assert_close(back, mirrored.flip(1))
    assert not torch.allclose(forth, back)


def test_dropout_is_on_the_states_of_each_layer() -> None:
    torch.manual_seed(1)
    encoder = RecurrentEncoder(4, hidden_size=50, dropout=0.5)
    mask = torch.ones(8, 9, dtype=torch.bool)
    dropped = (encoder(torch.randn(8, 9, 4), mask).states == 0).float().mean().item()
    assert dropped == pytest.approx(0.5, abs=0.05)
    assert not (encoder.eval()(torch.randn(8, 9, 4), mask).states == 0).any()


class FixedMasks(nn.Module):
    """Dropout with known masks: `forward` has one for all calls, `mask` another for each."""

    def __init__(self, given: Tensor, kept: Iterator[Tensor]) -> None:
        super().__init__()
        self.given, self.kept = given, kept

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.given

    def mask(self, like: Tensor) -> Tensor:
        return next(self.kept).expand_as(like)


@pytest.mark.parametrize("residual", [False, True])
def test_an_encoder_of_three_layers_is_its_equations(residual: bool) -> None:
    """Each cell from both ends; what leaves a layer is dropped, and what enters is added to it."""
    torch.manual_seed(1)
    encoder = RecurrentEncoder(
        4, hidden_size=3, num_layers=3, dropout=0.5, recurrent_dropout=0.5, residual=residual
    ).double()
    given = 2.0 * torch.tensor([1, 0, 1, 1, 1, 0], dtype=torch.double)
    kept = 2.0 * (torch.rand(6, 3, dtype=torch.double) < 0.5)
    encoder.dropout = FixedMasks(given, iter([]))  # type: ignore[assignment]
    encoder.recurrent_dropout = FixedMasks(given, iter(kept))  # type: ignore[assignment]
    words = torch.randn(1, 5, 4, dtype=torch.double)
    encoded = encoder(words, torch.ones(1, 5, dtype=torch.bool))
    inputs, masks = list(words[0]), iter(kept)
    for number, cells in enumerate(encoder.layers):
        sides: list[list[Tensor]] = []
        for cell, order in zip(cells, (1, -1), strict=True):  # type: ignore[arg-type]
            state, dropout_mask, shown = torch.zeros(1, 3, dtype=torch.double), next(masks), []
            for vector in inputs[::order]:
                state = cell(cell.project(vector.unsqueeze(0)), state, dropout_mask.unsqueeze(0))
                shown.append(state[0])
            sides.append(shown[::order])
        torch.testing.assert_close(encoded.final[0, number], torch.cat([sides[0][-1], sides[1][0]]))
        outputs = [torch.cat(both) * given for both in zip(*sides, strict=True)]
        if residual and number > 0:
            outputs = [out + entered for out, entered in zip(outputs, inputs, strict=True)]
        inputs = outputs
    torch.testing.assert_close(encoded.states[0], torch.stack(inputs))


def test_each_sentence_has_a_recurrent_dropout_mask_of_its_own() -> None:
    torch.manual_seed(1)
    encoder = RecurrentEncoder(4, hidden_size=50, dropout=0.0, recurrent_dropout=0.5)
    words = torch.randn(1, 3, 4).expand(2, -1, -1)
    one, other = encoder(words, torch.ones(2, 3, dtype=torch.bool)).states
    # Each direction starts from zeros, of which nothing can be dropped.
    torch.testing.assert_close(one[0, :50], other[0, :50])
    assert not torch.isclose(one[1:, :50], other[1:, :50]).all(0).any()
    assert not torch.isclose(one[:2, 50:], other[:2, 50:]).all(0).any()


def test_a_cell_is_a_class_or_binds_options_of_one() -> None:
    (first, _), _ = RecurrentEncoder(4, cell=LSTM, num_layers=2).layers
    assert isinstance(first, LSTM)
    ((cell, _),) = RecurrentEncoder(4, cell=partial(GRU, fused=False)).layers
    assert isinstance(cell, GRU) and cell.fast_path is None
