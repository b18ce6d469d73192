"""The encoded corpus: the tokens of the pairs that stay, and sampling that can be repeated."""

import random
from pathlib import Path

import numpy as np
import pytest

from nmt.data.encoded_corpus import EncodedCorpus, open_encoded, write_encoded
from nmt.data.filters import Filters


def encoded(pairs, tokenizers, folder: Path, filters: Filters | None = None) -> EncodedCorpus:
    write_encoded(pairs, *tokenizers, filters or Filters(), folder)
    return open_encoded(folder, *tokenizers)


def test_kept_pairs_have_their_tokens(tokenizer, tmp_path: Path) -> None:
    pairs = [("5 6", "7"), (" ", "8"), ("1 2 3", "4"), ("9", "10 11")]
    corpus = encoded(pairs, (tokenizer, tokenizer), tmp_path, Filters(max_length=2))
    assert len(corpus) == 2
    assert [corpus.source(pair).tolist() for pair in (0, 1)] == [[5, 6], [9]]
    assert [corpus.target(pair).tolist() for pair in (0, 1)] == [[7], [10, 11]]
    assert corpus.source_side.tokens.lengths.tolist() == [2, 1]
    assert corpus.target_side.tokens.lengths.tolist() == [1, 2]
    assert str(corpus.report) == "2 of 4 pairs kept (1 empty, 1 too long)"


@pytest.mark.parametrize("size", [65_536, 65_537, 300_000])
def test_the_largest_number_of_a_vocabulary_is_kept(make_tokenizer, size, tmp_path: Path) -> None:
    tokenizers = (make_tokenizer(size), make_tokenizer(10))
    corpus = encoded([(f"{size - 1} 4", "9")], tokenizers, tmp_path)
    assert corpus.source(0).tolist() == [size - 1, 4]
    assert corpus.source(0).itemsize == (2 if size == 65_536 else 4)
    assert corpus.target(0).tolist() == [9]


def test_block_size_does_not_change_the_result(tokenizer, tmp_path: Path, monkeypatch) -> None:
    pairs = [(f"{n % 7 + 4} " * (n % 5 + 1), f"{n % 3 + 4}") for n in range(100)]
    monkeypatch.setattr("nmt.data.encoded_corpus._MAX_BLOCK_PAIRS", 7)
    monkeypatch.setattr("nmt.data.encoded_corpus._MAX_BLOCK_SIZE", 25)
    filters = Filters(max_length=4, deduplicate=True)
    corpus = encoded(pairs, (tokenizer, tokenizer), tmp_path, filters)
    kept = dict.fromkeys(pair for pair in pairs if len(pair[0].split()) <= 4)
    assert [corpus.source(i).tolist() for i in range(len(corpus))] == [
        [int(word) for word in source.split()] for source, _ in kept
    ]
    assert corpus.report.num_read == 100
    assert corpus.report.num_too_long == 20


def test_a_line_of_100_000_words_is_filtered(tokenizer, tmp_path: Path) -> None:
    pairs = [("5 " * 100_000, "6"), ("7", "8")]
    corpus = encoded(pairs, (tokenizer, tokenizer), tmp_path, Filters(max_length=100))
    assert corpus.source(0).tolist() == [7]
    assert corpus.report.num_too_long == 1


def test_without_sampling_each_epoch_sees_the_tokens(tokenizer, tmp_path: Path) -> None:
    corpus = encoded([("5 6", "7"), ("8", "9"), ("4", "5")], (tokenizer, tokenizer), tmp_path)
    source, target = corpus.draw(np.array([2, 0]), seed=1, epoch=7)
    assert [source[row].tolist() for row in (0, 1)] == [[4], [5, 6]]
    assert [target[row].tolist() for row in (0, 1)] == [[5], [7]]
    assert corpus.source_side.text is None


def test_sampling_depends_only_on_seed_epoch_and_pair(make_tokenizer, tmp_path: Path) -> None:
    tokenizers = (make_tokenizer(samples=True), make_tokenizer(samples=True))
    text = " ".join(map(str, range(4, 40)))
    corpus = encoded([(text, text)] * 3, tokenizers, tmp_path)

    def drawn(pairs: list[int], seed: int, epoch: int) -> list[list[int]]:
        source, target = corpus.draw(np.array(pairs), seed, epoch)
        return [source[0].tolist(), target[0].tolist()]

    one = drawn([1, 0], seed=1, epoch=2)
    assert drawn([1], seed=1, epoch=2) == one  # whatever else is in the batch
    assert [sorted(set(tokens)) for tokens in one] == [list(range(4, 40))] * 2
    others = [drawn([1], 1, 3), drawn([1], 2, 2), drawn([2], 1, 2)]
    assert all(one != other for other in others)
    assert one[0] != one[1]
    # Lengths are those without sampling.
    assert corpus.source_side.tokens.lengths.tolist() == [36] * 3


def test_sampling_one_side_does_not_change_the_other(make_tokenizer, tmp_path: Path) -> None:
    corpus = encoded([("5", "6 7")], (make_tokenizer(samples=True), make_tokenizer()), tmp_path)
    source, target = corpus.draw(np.array([0]), seed=1, epoch=1)
    assert set(source[0].tolist()) == {5}
    assert target[0].tolist() == [6, 7]
    assert corpus.target_side.text is None


def test_text_beyond_ascii_is_sampled_whole(make_tokenizer, tmp_path: Path) -> None:
    texts = []

    class Recorder(make_tokenizer):
        def encode(self, text: str, rng: random.Random | None = None) -> list[int]:
            texts.append(text)
            return [4] * len(text)

    recorder = Recorder(samples=True)
    corpus = encoded([("größer 日本", "ß")], (recorder, recorder), tmp_path)
    texts.clear()
    corpus.draw(np.array([0]), seed=1, epoch=1)
    assert texts == ["größer 日本", "ß"]
