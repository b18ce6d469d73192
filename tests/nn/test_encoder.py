from functools import partial

import pytest
import torch

from nmt.nn.cells import CELLS
from nmt.nn.encoder import RecurrentEncoder
from nmt.nn.recurrent import GRU


@pytest.mark.parametrize("cell", sorted(CELLS))
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_padding_changes_nothing(cell: str, num_layers: int, bidirectional: bool) -> None:
    torch.manual_seed(1)
    encoder = RecurrentEncoder(
        lambda size: CELLS[cell](size, 5), 4, num_layers=num_layers, bidirectional=bidirectional
    ).double()
    sentence = torch.randn(1, 3, 4, dtype=torch.double)
    alone = encoder(sentence, torch.ones(1, 3, dtype=torch.bool))
    padded = torch.full((2, 7, 4), 1e3, dtype=torch.double)
    padded[0, :3] = sentence
    mask = torch.tensor([[True] * 3 + [False] * 4, [True] * 7])
    together = encoder(padded, mask)
    torch.testing.assert_close(together.states[:1, :3], alone.states)
    torch.testing.assert_close(together.final[:1], alone.final)
    assert together.final.shape == (2, num_layers, encoder.output_size)


def test_the_last_states_are_each_directions_last() -> None:
    encoder = RecurrentEncoder(partial(lambda size: GRU(size, 5)), 4)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    encoded = encoder(torch.randn(2, 3, 4), mask)
    torch.testing.assert_close(encoded.final[0, 0, :5], encoded.states[0, 1, :5])
    torch.testing.assert_close(encoded.final[:, 0, 5:], encoded.states[:, 0, 5:])


def test_reading_backwards_is_reading_the_mirror() -> None:
    torch.manual_seed(1)
    encoder = RecurrentEncoder(lambda size: GRU(size, 5), 4)
    (cells,) = encoder.layers
    cells[1].load_state_dict(cells[0].state_dict())  # type: ignore[index]
    inputs, mask = torch.randn(1, 6, 4), torch.ones(1, 6, dtype=torch.bool)
    forth, back = encoder(inputs, mask).states.chunk(2, dim=-1)
    mirrored, _ = encoder(inputs.flip(1), mask).states.chunk(2, dim=-1)
    torch.testing.assert_close(back, mirrored.flip(1))
    assert not torch.allclose(forth, back)


def test_dropout_is_on_the_states_of_each_layer() -> None:
    torch.manual_seed(1)
    encoder = RecurrentEncoder(lambda size: GRU(size, 50), 4, dropout=0.5)
    mask = torch.ones(8, 9, dtype=torch.bool)
    dropped = (encoder(torch.randn(8, 9, 4), mask).states == 0).float().mean().item()
    assert dropped == pytest.approx(0.5, abs=0.05)
    assert not (encoder.eval()(torch.randn(8, 9, 4), mask).states == 0).any()
