"""The encoder of grids: padding changes nothing, places count, the summary is a mean."""

import torch

from nmt.nn.grid_encoder import GridEmbedding, GridEncoder


def test_padding_changes_nothing_and_final_is_the_mean() -> None:
    cells = torch.zeros(2, 4, 5)
    cells[0] = torch.rand(4, 5).round()
    cells[1, :2] = cells[0, :2]
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    embedding, encoder = GridEmbedding(3, 8, max_rows=4, max_columns=4), GridEncoder(8)
    batch = encoder(embedding(cells), mask)
    alone = encoder(embedding(cells[1:, :2]), mask[1:, :2])
    assert torch.allclose(batch.final[1], alone.final[0])
    assert torch.allclose(alone.final[0, 0], alone.states[0].mean(dim=0))


def test_the_same_cell_elsewhere_is_another_vector() -> None:
    cells = torch.ones(1, 2, 5)
    cells[0, :, 3:] = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    first, second = GridEmbedding(3, 8, max_rows=2, max_columns=2)(cells)[0]
    assert not torch.allclose(first, second)
