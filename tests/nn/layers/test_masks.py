import torch

from nmt.nn.layers.masks import length_mask


def test_true_at_real_tokens() -> None:
    mask = length_mask(torch.tensor([1, 3, 0]), 3)
    assert mask.tolist() == [[True, False, False], [True, True, True], [False, False, False]]
