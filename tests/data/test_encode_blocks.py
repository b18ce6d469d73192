"""Encoding by several processes: the same bytes and errors as by one, and nothing left behind."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nmt.core.errors import DataError, RunError
from nmt.data.cache import encode_corpus
from nmt.data.encode_blocks import BlockEncoder
from nmt.data.filters import Filters
from nmt.data.formats.text_pairs import TextCorpus, TsvCorpus
from nmt.text.normalization import Normalizer
from nmt.text.words import WordTrainer

FILTERS = Filters(max_length=9, deduplicate=True)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 50 pairs; more than 50 are many."""
    monkeypatch.setattr("nmt.data.encoded_corpus._MAX_BLOCK_PAIRS", 50)
    monkeypatch.setattr("nmt.data.encode_blocks._FEW_BLOCKS", 2)


@pytest.fixture
def files(tmp_path: Path) -> TextCorpus:
    source, target = tmp_path / "train.de", tmp_path / "train.en"
    source.write_text("".join(f"one two {n * n % 170} three\n" for n in range(500)))
    target.write_text("".join(f"drei {n % 85} eins\n" for n in range(500)))
    return TextCorpus(source=source, target=target)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def entries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix != ".lock"]  # nor a note


def test_processes_write_the_same_as_one_process(
    files: TextCorpus, sampling_tokenizer, tmp_path: Path
) -> None:
    alone, together = (
        encode_corpus(
            files,
            sampling_tokenizer,
            sampling_tokenizer,
            filters=FILTERS,
            folder=tmp_path / str(number),
            num_processes=number,
        )
        for number in (0, 2)
    )
    assert content(together.folder) == content(alone.folder)
    assert alone.report.num_duplicates > 0 and alone.report.num_too_long > 0
    assert alone.source_side.text is not None
    assert not multiprocessing.active_children()


def test_few_pairs_are_encoded_without_processes(
    tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.data.encode_blocks.WorkerPool", None)
    path = tmp_path / "train.tsv"
    path.write_text("5\t6\n" * 50)
    corpus = encode_corpus(
        TsvCorpus(tsv=path),
        tokenizer,
        tokenizer,
        filters=Filters(),
        folder=tmp_path / "cache",
        num_processes=4,
    )
    assert len(corpus) == 50


def test_bad_line_is_reported_and_leaves_no_file(
    files: TextCorpus, sampling_tokenizer, tmp_path: Path
) -> None:
    lines = files.source.read_bytes().split(b"\n")
    lines[432] = b"one \xff"
    files.source.write_bytes(b"\n".join(lines))
    tokenizers = (sampling_tokenizer, sampling_tokenizer)
    folder = tmp_path / "cache"
    with pytest.raises(DataError, match=r"train\.de, line 433, byte \d+: 0xff is not UTF-8"):
        encode_corpus(files, *tokenizers, filters=FILTERS, folder=folder, num_processes=2)
    assert not entries(folder)
    assert not multiprocessing.active_children()


def interrupt() -> None:
    raise KeyboardInterrupt


def kill_a_process() -> None:
    pid = multiprocessing.active_children()[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("event", "error"), [(interrupt, KeyboardInterrupt), (kill_a_process, RunError)]
)
def test_interrupted_write_leaves_no_file(
    event: Callable[[], None],
    error: type[BaseException],
    files: TextCorpus,
    sampling_tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read_pairs = TextCorpus.read_pairs

    def read(files: TextCorpus) -> Iterator[tuple[str, str]]:
        for number, pair in enumerate(read_pairs(files)):
            if number == 200:
                event()
            yield pair

    monkeypatch.setattr(TextCorpus, "read_pairs", read)
    tokenizers = (sampling_tokenizer, sampling_tokenizer)
    folder = tmp_path / "cache"
    with pytest.raises(error):
        encode_corpus(files, *tokenizers, filters=FILTERS, folder=folder, num_processes=2)
    assert not entries(folder)
    assert not multiprocessing.active_children()


def test_each_side_is_read_by_its_own_tokenizer() -> None:
    source = WordTrainer(Normalizer()).train(lambda: iter(["a b c"]))
    target = WordTrainer(Normalizer()).train(lambda: iter(["x a"]))
    block = BlockEncoder(source, target, with_hashes=False).encode([("c a", "a x a"), ("b", "")])
    assert block.arrays.keys() == {"source", "target"}
    for side, reader, texts in (
        ("source", source, ["c a", "b"]),
        ("target", target, ["a x a", ""]),
    ):
        tokens = block.arrays[side]
        assert [tokens[row].tolist() for row in (0, 1)] == [reader.encode(t) for t in texts]
    assert block.hashes is None
