import pytest
import torch

from nmt.core.special_tokens import PAD
from nmt.nn.layers.embedding import WordEmbedding


def test_padding_is_the_zero_vector() -> None:
    embedding = WordEmbedding(10, 4)
    assert embedding(torch.tensor([[5, PAD]]))[0, 1].tolist() == [0.0] * 4


def test_vectors_start_with_a_length_of_about_one() -> None:
    torch.manual_seed(1)
    lengths = WordEmbedding(1000, 64).table.weight[1:].norm(dim=1)
    assert lengths.mean().item() == pytest.approx(1.0, abs=0.05)


def test_dropout_is_on_the_numbers_and_scales_up_what_is_left() -> None:
    torch.manual_seed(1)
    embedding = WordEmbedding(10, 4, dropout=0.25)
    vectors = embedding(torch.full((100, 100), 5))
    kept = vectors != 0
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.02)
    whole = (embedding.table.weight[5] / 0.75).expand_as(vectors)
    torch.testing.assert_close(vectors[kept], whole[kept], rtol=1e-4, atol=0)
    assert not torch.equal(embedding.eval()(torch.tensor([[5]])), torch.zeros(1, 1, 4))


def test_word_dropout_blanks_whole_words_in_training_alone() -> None:
    torch.manual_seed(1)
    embedding = WordEmbedding(10, 4, word_dropout=0.3)
    tokens = torch.full((100, 100), 5)
    blank = (embedding(tokens) == 0).all(-1)
    assert blank.float().mean().item() == pytest.approx(0.3, abs=0.03)
    torch.testing.assert_close(embedding(tokens)[~blank][0], embedding.table.weight[5])
    assert not (embedding.eval()(tokens) == 0).any()
