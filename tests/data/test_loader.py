"""The loader: epochs that can be resumed, a thread that ends."""

import multiprocessing
import threading
from itertools import chain
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nmt.core.batch import Batch, FlatRows, make_batch
from nmt.core.special_tokens import BOS, EOS, PAD
from nmt.data.batching import BatchSampler, Shard
from nmt.data.encoded_corpus import EncodedCorpus, EpochTokens, open_encoded, write_encoded
from nmt.data.filters import Filters
from nmt.data.loader import DataLoader
from nmt.data.subword_epochs import draw_epoch


def corpus_of(pairs: list[tuple[str, str]], tokenizer, folder: Path) -> EncodedCorpus:
    folder.mkdir(exist_ok=True)
    write_encoded(pairs, tokenizer, tokenizer, Filters(), folder)
    return open_encoded(folder, tokenizer, tokenizer)


def loader_of(corpora: list[EncodedCorpus], seed: int = 1, **limits: int) -> DataLoader:
    sampler = BatchSampler(
        [len(corpus) for corpus in corpora], seed=seed, **(limits or {"batch_tokens": 40})
    )
    return DataLoader(corpora, sampler, seed=seed)


def numbers(count: int) -> list[tuple[str, str]]:
    """Pairs of unequal lengths; the first token of each side is 4 and the number of the pair."""
    return [
        (f"{n + 4} " + "5 " * (n % 4), f"{n + 4} " + "6 " * ((n + n // 4) % 3))
        for n in range(count)
    ]


def tensors(batch: Batch) -> tuple[Tensor, ...]:
    return (batch.source, batch.source_lengths, batch.target)


def assert_same(left: list[Batch], right: list[Batch]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))
        assert one.num_target_tokens == other.num_target_tokens


def test_an_epoch_holds_each_pair_as_it_was_encoded(tokenizer, tmp_path: Path) -> None:
    pairs = numbers(50)
    loader = loader_of([corpus_of(pairs, tokenizer, tmp_path)])
    seen = []
    for batch in loader.epoch(0):
        assert batch.num_target_tokens == int((batch.labels != PAD).sum())
        for row in range(batch.num_sentences):
            source = batch.source[row, : batch.source_lengths[row]].tolist()
            target = [token for token in batch.target[row].tolist() if token != PAD]
            assert (source[-1], target[0], target[-1]) == (EOS, BOS, EOS)
            seen.append((source[:-1], target[1:-1]))
    expected = [tuple([int(w) for w in side.split()] for side in pair) for pair in pairs]
    assert sorted(seen) == sorted(expected)


def test_batches_are_mixed_from_several_corpora(tokenizer, tmp_path: Path) -> None:
    pairs = numbers(30)
    corpora = [
        corpus_of(part, tokenizer, tmp_path / str(n))
        for n, part in enumerate((pairs[:10], pairs[10:11], pairs[11:]))
    ]
    loader = loader_of(corpora, batch_sentences=8)
    batches = list(loader.epoch(0))
    for batch in batches:  # the two sides of a pair stay together
        assert batch.source[:, 0].tolist() == batch.target[:, 1].tolist()
    firsts = [batch.source[:, 0].tolist() for batch in batches]
    assert sorted(chain.from_iterable(firsts)) == list(range(4, 34))
    assert any(min(first) < 14 <= max(first) for first in firsts)


@pytest.mark.parametrize("samples", [False, True])
def test_resuming_gives_the_batches_of_an_uninterrupted_run(
    samples: bool, make_tokenizer, tmp_path: Path
) -> None:
    corpus = corpus_of(numbers(100), make_tokenizer(samples=samples), tmp_path)
    unbroken = list(loader_of([corpus]).epoch(3))
    assert len(unbroken) > 10
    for start in (0, 1, 7, len(unbroken) - 1, len(unbroken)):
        loader = loader_of([corpus])
        assert loader.num_batches(3) == len(unbroken)
        assert_same(list(loader.epoch(3, start)), unbroken[start:])


def test_epochs_differ_and_are_reproducible(tokenizer, tmp_path: Path) -> None:
    loader = loader_of([corpus_of(numbers(100), tokenizer, tmp_path)])
    first, second = (list(loader.epoch(number)) for number in (0, 1))
    assert [tensors(batch)[0].tolist() for batch in first] != [
        tensors(batch)[0].tolist() for batch in second
    ]
    assert_same(list(loader.epoch(0)), first)


def test_each_epoch_samples_other_subwords(make_tokenizer, tmp_path: Path) -> None:
    corpus = corpus_of([("5 " * 30, "6 " * 30)], make_tokenizer(samples=True), tmp_path)
    loader = loader_of([corpus])
    widths = {next(loader.epoch(epoch)).source.shape[1] for epoch in range(8)}
    assert len(widths) > 1


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_all_processes_together_compute_each_update(
    accumulate: int, size: int, tokenizer, tmp_path: Path
) -> None:
    corpora = [
        corpus_of(part, tokenizer, tmp_path / str(n))
        for n, part in enumerate((numbers(60)[:20], numbers(60)[20:]))
    ]
    sampler = BatchSampler([len(corpus) for corpus in corpora], seed=1, batch_tokens=30)
    whole = list(DataLoader(corpora, sampler, seed=1).epoch(2, start=2))
    loaders = [
        DataLoader(corpora, sampler, seed=1, accumulate=accumulate, shard=Shard(rank, size))
        for rank in range(size)
    ]
    updates = list(zip(*(loader.updates(2, start=2) for loader in loaders), strict=True))
    assert [update[0].is_last for update in updates] == [False] * (len(updates) - 1) + [True]
    done = 0
    for update in updates:
        assert len({portion.num_target_tokens for portion in update}) == 1
        batches = [batch for portion in update for batch in portion.batches]
        tokens = sum(batch.num_target_tokens for batch in batches)
        expected = whole[done : done + update[0].num_batches]
        assert update[0].num_target_tokens == tokens == sum(b.num_target_tokens for b in expected)
        firsts = [
            sorted(chain(*(b.source[:, 0].tolist() for b in of))) for of in (batches, expected)
        ]
        assert firsts[0] == firsts[1]
        done += update[0].num_batches
    assert done == len(whole)


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_the_thread_ends_with_the_epoch(tokenizer, tmp_path: Path) -> None:
    list(loader_of([corpus_of(numbers(100), tokenizer, tmp_path)]).epoch(0))
    assert not reading_threads()


def test_the_thread_ends_when_the_reader_stops_early(tokenizer, tmp_path: Path) -> None:
    loader = loader_of([corpus_of(numbers(100), tokenizer, tmp_path)])
    for _ in loader.epoch(0):
        assert reading_threads()
        break
    assert not reading_threads()


def test_errors_are_raised_in_the_place_of_their_batch(
    tokenizer, tmp_path: Path, monkeypatch
) -> None:
    made = []
    batch = make_batch([[4]], [[5]])

    def fail_at_the_third(sources: FlatRows, targets: FlatRows) -> Batch:
        made.append(sources)
        if len(made) == 3:
            raise OSError("the disk is gone")
        return batch

    monkeypatch.setattr("nmt.data.loader.pad_batch", fail_at_the_third)
    batches = loader_of([corpus_of(numbers(50), tokenizer, tmp_path)]).epoch(0)
    next(batches)
    next(batches)
    with pytest.raises(OSError, match="the disk is gone"):
        next(batches)
    assert not reading_threads()


def test_budget_holds_for_sampled_tokens(make_tokenizer, tmp_path: Path) -> None:
    corpus = corpus_of(numbers(300), make_tokenizer(samples=True), tmp_path)
    loader = loader_of([corpus], batch_tokens=60)
    batches = list(loader.epoch(1))
    assert all(max(b.source.numel(), b.labels.numel()) <= 60 for b in batches)
    lengths = torch.cat([batch.source_lengths - 1 for batch in batches])
    assert int(lengths.sum()) > 1.2 * corpus.source_side.tokens.lengths.sum()
    assert len(batches) == loader.num_batches(1)


def test_processes_do_not_change_the_batches(sampling_tokenizer, tmp_path: Path) -> None:
    pairs = [(f"one two {n} three", f"drei zwei {n} eins") for n in range(60)]
    corpus = corpus_of(pairs, sampling_tokenizer, tmp_path)
    sampler = BatchSampler([len(corpus)], seed=1, batch_tokens=100)
    plain = DataLoader([corpus], sampler, seed=1)
    loader = DataLoader([corpus], sampler, seed=1, num_processes=1)
    assert_same(list(loader.epoch(1)), list(plain.epoch(1)))
    assert_same(list(loader.epoch(2, start=2)), list(plain.epoch(2, start=2)))
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("num_processes", [0, 1])
def test_moved_corpora_resume_without_repeating_batches(
    num_processes: int, sampling_tokenizer, tmp_path: Path, monkeypatch
) -> None:
    pairs = [(f"one two {n} three", f"drei zwei {n} eins") for n in range(60)]
    for name in ("old", "elsewhere"):
        (tmp_path / name).mkdir()
    moved = corpus_of(pairs[:40], sampling_tokenizer, tmp_path / "old" / "key")
    other = corpus_of(pairs[40:], sampling_tokenizer, tmp_path / "elsewhere" / "key")
    sampler = BatchSampler([len(moved), len(other)], seed=1, batch_tokens=100)
    plain = DataLoader([moved, other], sampler, seed=1)
    expected = [list(plain.epoch(number)) for number in (1, 2)]
    loader = DataLoader([moved, other], sampler, seed=1, num_processes=num_processes)
    assert loader.num_batches(1) == len(expected[0])
    (tmp_path / "old").rename(tmp_path / "new")
    loader.cache_moved(tmp_path / "old", tmp_path / "new")
    assert [corpus.folder for corpus in loader.corpora] == [
        tmp_path / "new" / "key",
        tmp_path / "elsewhere" / "key",
    ]
    drawn = []

    def draw(corpus: EncodedCorpus, seed: int, epoch: int, num_processes: int) -> EpochTokens:
        drawn.append(epoch)
        return draw_epoch(corpus, seed, epoch, num_processes)

    monkeypatch.setattr("nmt.data.loader.draw_epoch", draw)
    for number in (1, 2):
        assert_same(list(loader.epoch(number)), expected[number - 1])
    assert set(drawn) == {2}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="memory is pinned for a GPU")
def test_memory_is_pinned_on_request(tokenizer, tmp_path: Path) -> None:
    corpus = corpus_of(numbers(20), tokenizer, tmp_path)
    plain = loader_of([corpus])
    sampler = BatchSampler([len(corpus)], seed=1, batch_tokens=40)
    pinned = list(DataLoader([corpus], sampler, seed=1, pin_memory=True).epoch(1))
    assert all(tensor.is_pinned() for batch in pinned for tensor in tensors(batch))
    assert_same(pinned, list(plain.epoch(1)))
