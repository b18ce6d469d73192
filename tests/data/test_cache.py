"""The cache: encoded once, found again by content, whole or made again."""

import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.core.errors import DataError
from nmt.data.cache import encode_corpus
from nmt.data.encoded_corpus import EncodedCorpus
from nmt.data.filters import FilterReport, Filters
from nmt.data.formats.corpus import Corpus
from nmt.data.formats.text_pairs import TextCorpus, TsvCorpus


@pytest.fixture
def files(tmp_path: Path) -> TextCorpus:
    source, target = tmp_path / "train.de", tmp_path / "train.en"
    source.write_text("5 6\n7\n\n")
    target.write_text("8\n9 10\n11\n")
    return TextCorpus(source=source, target=target)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run" / "cache"


def encode(files: Corpus[str], tokenizer, folder: Path, filters: Filters | None = None):
    return encode_corpus(files, tokenizer, tokenizer, filters=filters or Filters(), folder=folder)


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix not in (".lock", ".latest"))


def test_encodes_the_content_of_the_files(files, tokenizer, folder: Path) -> None:
    corpus = encode(files, tokenizer, folder)
    assert [corpus.source(pair).tolist() for pair in range(len(corpus))] == [[5, 6], [7]]
    assert [corpus.target(pair).tolist() for pair in range(len(corpus))] == [[8], [9, 10]]
    assert str(corpus.report) == "2 of 3 pairs kept (1 empty)"
    assert [path.suffix for path in entries(folder)] == [""]


def test_tsv_and_gzip_corpora_are_encoded(tokenizer, folder: Path, tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "train.tsv.gz"
    path.write_bytes(gzip.compress(b"5 6\t7\n"))
    corpus = encode(TsvCorpus(tsv=path), tokenizer, folder)
    assert corpus.source(0).tolist() == [5, 6]
    assert corpus.target(0).tolist() == [7]


@dataclass(frozen=True, kw_only=True)
class WithWeights(TsvCorpus):
    """A corpus with two files that may be left out."""

    first: "Path | None" = None
    second: "Path | None" = None


def test_each_file_that_is_given_determines_the_entry(
    tokenizer, folder: Path, tmp_path: Path
) -> None:
    tsv, other = tmp_path / "a.tsv", tmp_path / "weights"
    tsv.write_text("5 6\t7\n")
    other.write_text("1\n")
    assert WithWeights.file_options() == ["tsv", "first", "second"]
    given: list[dict[str, Path]] = [{}, {"first": other}, {"second": other}, {"first": tsv}]
    for number, files in enumerate(given, start=1):
        corpus = WithWeights(tsv=tsv, **files)
        assert corpus.paths == (tsv, *files.values())
        encode(corpus, tokenizer, folder)
        assert len(entries(folder)) == number
    other.write_text("2\n")
    encode(WithWeights(tsv=tsv, first=other), tokenizer, folder)
    assert len(entries(folder)) == len(given) + 1


def test_the_second_time_nothing_is_encoded(files, tokenizer, folder: Path) -> None:
    first = encode(files, tokenizer, folder)
    num_calls = tokenizer.num_calls
    second = encode(files, tokenizer, folder)
    assert tokenizer.num_calls == num_calls
    assert second.source(0).tolist() == first.source(0).tolist()
    assert second.report == first.report


def test_the_same_text_under_another_name_is_the_same_corpus(
    files, tokenizer, folder: Path, tmp_path: Path
) -> None:
    encode(files, tokenizer, folder)
    moved = TextCorpus(source=tmp_path / "a.de", target=tmp_path / "a.en")
    for old, new in zip(files.paths, moved.paths, strict=True):
        old.rename(new)
    encode(moved, tokenizer, folder)
    assert len(entries(folder)) == 1


def test_other_content_of_the_same_size_is_another_corpus(files, tokenizer, folder: Path) -> None:
    encode(files, tokenizer, folder)
    time = files.source.stat().st_mtime_ns
    files.source.write_text("5 9\n7\n\n")
    os.utime(files.source, ns=(time, time))
    assert encode(files, tokenizer, folder).source(0).tolist() == [5, 9]


def test_sides_that_are_swapped_are_another_corpus(files, tokenizer, folder: Path) -> None:
    encode(files, tokenizer, folder)
    swapped = TextCorpus(source=files.target, target=files.source)
    assert encode(swapped, tokenizer, folder).source(0).tolist() == [8]


def test_other_settings_are_another_corpus(files, make_tokenizer, folder: Path) -> None:
    settings = [
        (make_tokenizer(1000), Filters()),
        (make_tokenizer(2000), Filters()),
        (make_tokenizer(1000, samples=True), Filters()),
        (make_tokenizer(1000), Filters(max_length=2)),
        (make_tokenizer(1000), Filters(max_length_ratio=3.0)),
        (make_tokenizer(1000), Filters(deduplicate=True)),
    ]
    for tokenizer, filters in settings:
        encode(files, tokenizer, folder, filters)
    assert len(entries(folder)) == len(settings)


def warnings_of(caplog: pytest.LogCaptureFixture) -> str:
    text = "\n".join(record.getMessage() for record in caplog.records)
    caplog.clear()
    return text


def test_a_corpus_that_has_changed_is_warned_of_and_encoded_again(
    files, make_tokenizer, folder: Path, caplog
) -> None:
    caplog.set_level(logging.WARNING)
    encode(files, make_tokenizer(), folder)
    before = files.source.read_text(), files.target.read_text()
    files.source.write_text(before[0] + "12\n")
    with pytest.raises(DataError):  # the target has not grown
        encode(files, make_tokenizer(), folder)
    files.target.write_text(before[1] + "13\n")
    caplog.clear()
    for expected in ("encoding it again", ""):
        corpus = encode(files, make_tokenizer(), folder)
        assert corpus.target(2).tolist() == [13]
        warning = warnings_of(caplog)
        assert bool(expected) == bool(warning)
        if expected:
            date = r"\d{4}-\d\d-\d\d \d\d:\d\d"
            assert re.fullmatch(
                rf"{files}: changed since {date}, when last encoded; {expected}", warning
            )
    files.source.write_text(before[0])
    files.target.write_text(before[1])
    tokenizer = make_tokenizer()
    assert len(encode(files, tokenizer, folder)) == 2
    assert warnings_of(caplog).endswith("when last encoded; the current version is in the cache")
    assert tokenizer.num_calls == 0


def test_other_settings_or_files_are_not_a_change(
    files, make_tokenizer, folder: Path, tmp_path: Path, monkeypatch, caplog
) -> None:
    encode(files, make_tokenizer(), folder)
    encode(files, make_tokenizer(2000), folder)
    encode(files, make_tokenizer(), folder, Filters(max_length=2))
    other = TsvCorpus(tsv=tmp_path / "other.tsv")
    other.tsv.write_text("5\t6\n")
    encode(other, make_tokenizer(), folder)
    assert not caplog.records
    other.tsv.write_text("7\t8\n")
    monkeypatch.chdir(tmp_path)
    encode(TsvCorpus(tsv=Path("other.tsv")), make_tokenizer(), folder)
    assert warnings_of(caplog).startswith("other.tsv: changed since")


def test_unwritable_record_of_changes_is_ignored(files, tokenizer, folder: Path) -> None:
    encode(files, tokenizer, folder)
    (note,) = folder.glob("*.latest")
    note.unlink()
    note.mkdir()
    assert len(encode(files, tokenizer, folder)) == 2


def reading_that_does(event: Callable[[], None]) -> Callable[..., Iterator[tuple[str, str]]]:
    """`read_pairs`, with something that happens after the first pair."""
    read_pairs = TextCorpus.read_pairs

    def read(files: TextCorpus) -> Iterator[tuple[str, str]]:
        pairs = read_pairs(files)
        yield next(pairs)
        event()
        yield from pairs

    return read


@pytest.mark.parametrize("grown", ["12\n", ""])
def test_file_that_grows_during_encoding_is_refused(
    grown: str, files, tokenizer, folder: Path, monkeypatch
) -> None:
    def grow() -> None:
        for path, more in ((files.source, "12\n"), (files.target, grown)):
            path.write_text(path.read_text() + more)

    monkeypatch.setattr(TextCorpus, "read_pairs", reading_that_does(grow))
    message = f"{files.source}: changed while it was being encoded; start again when it no longer"
    with pytest.raises(DataError, match=re.escape(message)):
        encode(files, tokenizer, folder)
    assert not [path for path in folder.iterdir() if path.suffix != ".lock"]


def test_file_touched_during_encoding_is_accepted(
    files, tokenizer, folder: Path, monkeypatch
) -> None:
    monkeypatch.setattr(TextCorpus, "read_pairs", reading_that_does(lambda: os.utime(files.source)))
    assert len(encode(files, tokenizer, folder)) == 2


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut_short, change_a_byte, Path.unlink])
@pytest.mark.parametrize(
    "name",
    ["source.values", "target.offsets", "source.text.values", "report.json", "manifest.json"],
)
def test_corrupted_entry_is_detected_and_encoded_again(
    damage, name: str, files, make_tokenizer, folder: Path, caplog
) -> None:
    tokenizer = make_tokenizer(samples=True)
    encode(files, tokenizer, folder)
    damage(entries(folder)[0] / name)
    with caplog.at_level(logging.WARNING):
        corpus = encode(files, tokenizer, folder)
    assert "the encoded corpus is corrupted; encoding it again" in caplog.text
    assert corpus.target(1).tolist() == [9, 10]
    caplog.clear()
    encode(files, tokenizer, folder)
    assert not caplog.text


def test_files_of_a_killed_process_are_removed(files, tokenizer, folder: Path) -> None:
    encode(files, tokenizer, folder)
    (entry,) = entries(folder)
    unfinished = entry.rename(entry.with_suffix(".new"))
    (unfinished / "more").write_text("rest")
    encode(files, tokenizer, folder)
    assert entries(folder) == [entry]
    assert not (entry / "more").exists()


def test_a_failure_leaves_nothing_behind(files, tokenizer, folder: Path) -> None:
    files.source.write_text("5\n6\n")
    with pytest.raises(DataError, match="has 2 lines"):
        encode(files, tokenizer, folder)
    assert entries(folder) == []


def test_filters_that_drop_all_pairs_report_counts(files, tokenizer, folder: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"train\.de and .*train\.en: no pair passes the filters \(0 of 3 pairs kept "
        r"\(1 empty, 2 too long\)\); check the files, or relax data\.filters",
    ):
        encode(files, tokenizer, folder, Filters(max_length=1))
    assert entries(folder) == []


def test_a_missing_corpus(files, tokenizer, folder: Path) -> None:
    files.source.unlink()
    with pytest.raises(DataError, match=r"train\.de: no such file"):
        encode(files, tokenizer, folder)


def test_a_cache_that_cannot_be_written(files, tokenizer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = f"{tmp_path / 'file' / 'cache'}: cannot write the cache of encoded text (Not a dir"
    with pytest.raises(DataError, match=re.escape(message)):
        encode(files, tokenizer, tmp_path / "file" / "cache")


def test_one_of_two_concurrent_processes_encodes(files, make_tokenizer, folder: Path) -> None:
    tokenizers = [make_tokenizer(), make_tokenizer()]
    results = []
    threads = [
        threading.Thread(target=lambda one=one: results.append(encode(files, one, folder)))
        for one in tokenizers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.source(0).tolist() for result in results] == [[5, 6]] * 2
    # Two sides of three lines.
    assert sorted(one.num_calls for one in tokenizers) == [0, 6]


def test_a_process_waits_for_another_that_holds_the_lock(files, tokenizer, folder: Path) -> None:
    encode(files, tokenizer, folder)
    (entry,) = entries(folder)
    hidden = entry.rename(folder / "hidden.unfinished")
    # Another process has the lock; it puts the entry in its place a moment later.
    other = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, os, sys, time\n"
            "lock = open(sys.argv[1], 'w')\n"
            "fcntl.flock(lock, fcntl.LOCK_EX)\n"
            "print(flush=True)\n"
            "time.sleep(0.5)\n"
            "os.rename(sys.argv[2], sys.argv[3])\n",
            str(entry.with_suffix(".lock")),
            str(hidden),
            str(entry),
        ],
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdout is not None
        other.stdout.readline()
        num_calls = tokenizer.num_calls
        assert encode(files, tokenizer, folder).source(0).tolist() == [5, 6]
        assert tokenizer.num_calls == num_calls


def test_duplicates_of_pairs_of_other_corpora_are_left_out(
    files: TextCorpus, folder: Path, tokenizer, tmp_path: Path
) -> None:
    other = TextCorpus(source=tmp_path / "other.de", target=tmp_path / "other.en")
    other.source.write_text("7\n5 6\n7\n")
    other.target.write_text("9 10\n9\n9 10\n")
    filters = Filters(deduplicate=True)

    def encode_after(before: list[TextCorpus], filters: Filters = filters) -> EncodedCorpus:
        return encode_corpus(
            other, tokenizer, tokenizer, filters=filters, folder=folder, before=before
        )

    one, both = encode_after([]), encode_after([files])
    assert one.report == FilterReport(num_read=3, num_duplicates=1)
    assert both.report == FilterReport(num_read=3, num_duplicates=2)
    assert (both.source(0).tolist(), both.target(0).tolist()) == ([5, 6], [9])
    assert one.key != both.key
    assert encode_after([files]).key == both.key
    assert encode_after([], Filters()).key == encode_after([files], Filters()).key
    files.source.write_text("5 6\n8\n\n")
    assert encode_after([files]).report == FilterReport(num_read=3, num_duplicates=1)


Spoil = Callable[[Path], object]


def write_array(name: str, dtype: str, change: Callable[[Any], Any]) -> Spoil:
    """Change the numbers in a file of an entry."""

    def spoil(entry: Path) -> None:
        values = np.fromfile(entry / name, dtype)
        (entry / name).write_bytes(np.asarray(change(values)).astype(dtype).tobytes())

    return spoil


def put(name: str, make: Callable[[Path], object]) -> Spoil:
    """Put something else in the place of a file of an entry."""

    def spoil(entry: Path) -> None:
        (entry / name).unlink(missing_ok=True)
        make(entry / name)

    return spoil


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(20 * 10**9)


def last_offset_too_large(offsets: Any) -> Any:
    return [*offsets[:-1], offsets[-1] + 10**12]


@pytest.mark.parametrize(
    "spoil",
    [
        write_array("source.offsets", "<i8", last_offset_too_large),
        write_array("source.offsets", "<i8", lambda offsets: [0, 10**12, *offsets[2:]]),
        write_array("source.offsets", "<i8", lambda offsets: [0, -5, *offsets[2:]]),
        write_array("source.offsets", "<i8", lambda offsets: []),
        write_array("source.offsets", "<i8", lambda offsets: offsets[:-1]),
        write_array("target.values", "<u2", lambda values: values + 60_000),
        put("source.values", os.mkfifo),
        put("source.values", sparse),
        put("source.offsets", sparse),
        put("target.values", Path.mkdir),
        put("more", os.mkfifo),
        put("report.json", sparse),
        put("report.json", lambda path: path.write_text("[" * 200_000)),
        put("report.json", lambda path: path.write_text("[]")),
        put("report.json", lambda path: path.write_text('{"num_read": "2"}')),
        put("report.json", lambda path: path.write_text('{"num_read": 2, "more": 2}')),
        put("manifest.json", lambda path: path.write_text("[" * 200_000)),
        put("manifest.json", os.mkfifo),
        put("manifest.json", sparse),
    ],
)
def test_invalid_entry_with_valid_checksums_is_encoded_again(
    files, tokenizer, folder: Path, spoil: Spoil, caplog: pytest.LogCaptureFixture
) -> None:
    before = encode(files, tokenizer, folder)
    (entry,) = entries(folder)
    expected = before.source(0).tolist()
    spoil(entry)
    manifest = entry / "manifest.json"
    if manifest.is_file() and manifest.stat().st_size < 10_000:
        small = [p for p in entry.iterdir() if p.is_file() and p.stat().st_size < 10**9]
        sums = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in small}
        sums = {name: sums.get(name, "0") for name in os.listdir(entry) if name != manifest.name}
        manifest.write_text(json.dumps(sums))
    start = time.process_time()
    again = encode(files, tokenizer, folder)
    assert time.process_time() - start < 2.0
    assert "the encoded corpus is corrupted; encoding it again" in caplog.text
    assert again.source(0).tolist() == expected
    caplog.clear()
    encode(files, tokenizer, folder)
    assert "corrupted" not in caplog.text


def test_named_pipes_in_the_cache_do_not_block(files, tokenizer, folder: Path) -> None:
    encode(files, tokenizer, folder)
    (entry,) = entries(folder)
    for path in (*folder.glob("*.lock"), *folder.glob("*.latest")):
        path.unlink()
        os.mkfifo(path)
    shutil.rmtree(entry)
    assert len(encode(files, tokenizer, folder)) == 2
