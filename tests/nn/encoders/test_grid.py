"""The encoder of grids: each cell by itself and by its place, padding changes nothing."""

import pytest
import torch
from torch import Tensor

from nmt.nn.encoders.grid import GridEmbedding, GridEncoder


def cells_of(features: Tensor) -> Tensor:
    """`[rows columns C]` as the cells of a batch of one, `[1 S C+2]`."""
    rows, columns, channels = features.shape
    places = torch.cartesian_prod(torch.arange(float(rows)), torch.arange(float(columns)))
    return torch.cat([features.view(-1, channels), places], dim=1)[None]


@pytest.fixture
def embedding() -> GridEmbedding:
    """Of 3 channels, H = 8, up to 3 rows and 4 columns."""
    torch.manual_seed(1)
    return GridEmbedding(3, 8, max_rows=3, max_columns=4).double()


def test_the_vector_of_a_cell_by_hand() -> None:
    embedding = GridEmbedding(2, 1, max_rows=2, max_columns=3)
    with torch.no_grad():
        embedding.features.weight.copy_(torch.tensor([[1.0, -2.0]]))
        embedding.features.bias.fill_(0.5)
        embedding.rows.weight.copy_(torch.tensor([[0.0], [0.25]]))
        embedding.columns.weight.copy_(torch.tensor([[0.0], [0.0], [-1.0]]))
    # 1 * 3 - 2 * 1 + 0.5 + 0.25 - 1
    (vector,) = embedding(torch.tensor([[[3.0, 1.0, 1.0, 2.0]]])).flatten().tolist()
    assert vector == pytest.approx(torch.tensor(0.75).tanh().item())


def test_places_start_with_half_a_unit_and_features_as_a_layer_of_glorots() -> None:
    torch.manual_seed(1)
    embedding = GridEmbedding(30, 70, max_rows=50, max_columns=60)
    for table in (embedding.rows, embedding.columns):
        assert table.weight.std().item() == pytest.approx(0.5, rel=0.05)
    bound = (6 / 100) ** 0.5
    assert 0.95 * bound < embedding.features.weight.abs().max() <= bound
    assert not embedding.features.bias.any()


def test_the_same_cell_at_another_place_is_another_vector(embedding: GridEmbedding) -> None:
    vectors = embedding(cells_of(torch.ones(3, 4, 3, dtype=torch.double)))[0]
    distances = torch.cdist(vectors, vectors) + torch.eye(12)
    assert distances.min() > 1e-3


def test_grid_cells_are_encoded_independently(embedding: GridEmbedding) -> None:
    features = torch.randn(3, 4, 3, dtype=torch.double)
    before = embedding(cells_of(features))
    features[1, 2] = 7.0
    changed = (embedding(cells_of(features)) != before).any(dim=-1).flatten()
    assert changed.nonzero().flatten().tolist() == [1 * 4 + 2]


def test_padding_changes_nothing(embedding: GridEmbedding) -> None:
    encoder = GridEncoder(0, channels=3, hidden_size=8, dropout=0.0)
    small = cells_of(torch.randn(2, 2, 3, dtype=torch.double))
    alone = encoder(embedding(small), torch.ones(1, 4, dtype=torch.bool))
    padded = torch.zeros(2, 12, 5, dtype=torch.double)
    padded[:1, :4] = small
    padded[1:] = cells_of(torch.randn(3, 4, 3, dtype=torch.double))
    mask = torch.arange(12) < torch.tensor([[4], [12]])
    together = encoder(embedding(padded), mask)
    torch.testing.assert_close(together.states[:1, :4], alone.states)
    torch.testing.assert_close(together.final[:1], alone.final)
    assert together.mask is mask
    assert together.final.shape == (2, 1, GridEncoder.output_size({"hidden_size": 8}))


def test_the_summary_is_the_mean_of_the_cells(embedding: GridEmbedding) -> None:
    embedded = embedding(cells_of(torch.randn(3, 2, 3, dtype=torch.double)))
    encoded = GridEncoder(0, channels=3, hidden_size=8, dropout=0.0)(
        embedded, torch.ones(1, 6, dtype=torch.bool)
    )
    assert torch.equal(encoded.states, embedded)
    torch.testing.assert_close(encoded.final[:, 0], embedded.mean(dim=1))


def test_dropout_of_cells_is_only_active_in_training() -> None:
    torch.manual_seed(1)
    encoder = GridEncoder(0, channels=3, hidden_size=50, dropout=0.5)
    embedded, mask = torch.randn(8, 9, 50), torch.ones(8, 9, dtype=torch.bool)
    dropped = (encoder(embedded, mask).states == 0).float().mean().item()
    assert dropped == pytest.approx(0.5, abs=0.05)
    assert torch.equal(encoder.eval()(embedded, mask).states, embedded)


def test_all_parameters_get_gradients_from_real_cells(embedding: GridEmbedding) -> None:
    encoded = GridEncoder(0, channels=3, hidden_size=8, dropout=0.0)(
        embedding(cells_of(torch.randn(2, 4, 3, dtype=torch.double))),
        torch.ones(1, 8, dtype=torch.bool),
    )
    encoded.final.sum().backward()
    for parameter in (embedding.features.weight, embedding.features.bias, embedding.columns.weight):
        assert parameter.grad is not None and (parameter.grad != 0).any(dim=-1).all()
    assert embedding.rows.weight.grad is not None
    learns = (embedding.rows.weight.grad != 0).all(dim=1).tolist()
    assert learns == [True, True, False]  # there is no third row
