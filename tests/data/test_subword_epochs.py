"""An epoch's subwords are the same whoever draws them, and leave nothing behind."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from nmt.core.errors import DataError, TransientError
from nmt.data.encoded_corpus import EncodedCorpus, EpochTokens, open_encoded, write_encoded
from nmt.data.filters import Filters
from nmt.data.ragged import RaggedWriter
from nmt.data.subword_epochs import draw_epoch
from nmt.distributed.worker_pool import WorkerPool


@pytest.fixture
def corpus(sampling_tokenizer, tmp_path: Path) -> EncodedCorpus:
    folder = tmp_path / "entry"
    folder.mkdir()
    tokenizers = (sampling_tokenizer, sampling_tokenizer)
    pairs = [(f"one two {n} three", f"drei zwei {n} eins") for n in range(2500)]
    write_encoded(pairs, *tokenizers, Filters(), folder)
    return open_encoded(folder, *tokenizers)


def same(left: EpochTokens, right: EpochTokens) -> bool:
    return all(
        np.array_equal(one.values, other.values) and np.array_equal(one.offsets, other.offsets)
        for one, other in ((left.source, right.source), (left.target, right.target))
    )


def test_without_sampling_the_corpus_is_returned(tokenizer, tmp_path: Path) -> None:
    write_encoded([("5", "6")], tokenizer, tokenizer, Filters(), tmp_path)
    corpus = open_encoded(tmp_path, tokenizer, tokenizer)
    drawn = draw_epoch(corpus, seed=1, epoch=1, num_processes=2)
    assert drawn.source is corpus.source_side.tokens


def test_processes_sample_the_same_as_one_process(corpus: EncodedCorpus, tmp_path: Path) -> None:
    alone = draw_epoch(corpus, seed=1, epoch=2, num_processes=0)
    assert same(draw_epoch(corpus, seed=1, epoch=2, num_processes=2), alone)
    rows = np.array([0, 2047, 2048, 2499])  # of all blocks
    source, _ = corpus.draw(rows, seed=1, epoch=2)
    assert [alone.source[row].tolist() for row in rows] == [row.tolist() for row in iterate(source)]
    other = draw_epoch(corpus, seed=1, epoch=3, num_processes=0)
    assert not same(other, alone)
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]
    assert not multiprocessing.active_children()


def iterate(rows):
    return [rows[number] for number in range(len(rows))]


def test_a_process_that_dies_is_an_error(corpus: EncodedCorpus, monkeypatch) -> None:
    enter = WorkerPool.__enter__

    def enter_and_die(workers: WorkerPool[EncodedCorpus]) -> WorkerPool[EncodedCorpus]:
        enter(workers)
        (process,) = multiprocessing.active_children()
        assert process.pid is not None
        os.kill(process.pid, 9)
        return workers

    monkeypatch.setattr(WorkerPool, "__enter__", enter_and_die)
    with pytest.raises(
        TransientError, match=r"a subword sampling process died .* lower data\.num_proc"
    ):
        draw_epoch(corpus, seed=1, epoch=1, num_processes=1)
    assert not multiprocessing.active_children()


def test_an_interruption_ends_the_processes(corpus: EncodedCorpus, monkeypatch) -> None:
    def interrupt(*given: object) -> None:
        assert multiprocessing.active_children()
        raise KeyboardInterrupt

    monkeypatch.setattr(RaggedWriter, "append", interrupt)
    with pytest.raises(KeyboardInterrupt):
        draw_epoch(corpus, seed=1, epoch=1, num_processes=2)
    assert not multiprocessing.active_children()


def test_full_disk_is_reported(corpus: EncodedCorpus, monkeypatch) -> None:
    def refuse(dir: Path) -> None:  # the name is that of tempfile
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nmt.data.ragged.TemporaryFile", refuse)
    with pytest.raises(DataError, match=r"cannot write the sampled subwords .*No space left"):
        draw_epoch(corpus, seed=1, epoch=1)
