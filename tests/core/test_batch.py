from dataclasses import replace

import torch

from nmt.core.batch import Batch, make_batch, make_source
from nmt.core.special_tokens import BOS, EOS, PAD, SPECIAL_SYMBOLS, UNK


def make() -> Batch:
    return Batch(
        source=torch.tensor([[7, 8, EOS], [9, EOS, PAD]]),
        source_lengths=torch.tensor([3, 2]),
        target=torch.tensor([[BOS, 4, 5, EOS], [BOS, 6, EOS, PAD]]),
        num_target_tokens=5,
    )


def test_decoder_input_and_labels_are_the_target_shifted_by_one() -> None:
    batch = make()
    assert batch.decoder_input.tolist() == [[BOS, 4, 5], [BOS, 6, EOS]]
    assert batch.labels.tolist() == [[4, 5, EOS], [6, EOS, PAD]]


def test_label_mask_is_true_on_real_tokens() -> None:
    batch = make()
    assert batch.label_mask.tolist() == [[True, True, True], [True, True, False]]
    assert int(batch.label_mask.sum()) == batch.num_target_tokens


def test_halves_are_padded_no_further_than_needed() -> None:
    alignment = torch.arange(18.0).view(2, 3, 3)
    first, second = replace(make(), alignment=alignment).halves()
    assert first.source.tolist() == [[7, 8, EOS]]
    assert first.target.tolist() == [[BOS, 4, 5, EOS]]
    assert second.source.tolist() == [[9, EOS]]
    assert second.source_lengths.tolist() == [2]
    assert second.target.tolist() == [[BOS, 6, EOS]]
    assert (first.num_target_tokens, second.num_target_tokens) == (3, 2)
    assert second.alignment is not None
    assert second.alignment.tolist() == [[[9.0, 10.0], [12.0, 13.0]]]


def test_number_of_sentences() -> None:
    assert make().num_sentences == 2


def test_special_tokens_are_numbered_in_order() -> None:
    assert [SPECIAL_SYMBOLS[i] for i in (PAD, UNK, BOS, EOS)] == list(SPECIAL_SYMBOLS)
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)


def test_a_batch_worked_out_by_hand() -> None:
    batch = make_batch([[5, 6], [7]], [[8], [9, 10, 11]])
    assert batch.source.tolist() == [[5, 6, EOS], [7, EOS, PAD]]
    assert batch.source_lengths.tolist() == [3, 2]
    assert batch.target.tolist() == [[BOS, 8, EOS, PAD, PAD], [BOS, 9, 10, 11, EOS]]
    assert batch.num_target_tokens == 6 == int(batch.label_mask.sum())
    assert {batch.source.dtype, batch.source_lengths.dtype, batch.target.dtype} == {torch.int64}


def test_a_batch_of_empty_sentences_has_ends_alone() -> None:
    batch = make_batch([[], [4]], [[], []])
    assert batch.source.tolist() == [[EOS, PAD], [4, EOS]]
    assert batch.target.tolist() == [[BOS, EOS], [BOS, EOS]]


def test_sources_alone() -> None:
    source, lengths = make_source([[5, 6], []])
    assert source.tolist() == [[5, 6, EOS], [EOS, PAD, PAD]]
    assert lengths.tolist() == [3, 1]
