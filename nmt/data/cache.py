"""Corpora encoded once and kept: the folder of the cache, and what in it belongs to what.

An entry is a folder named by a hash of all that its content follows from: the bytes of the corpus,
the tokenizers, the filters. It is written beside and then renamed, so that an entry that can be
seen is whole; a lock lets one of several processes do the work. The SHA-256 of each file is kept,
so that an entry that was damaged later is found when it is opened, and made anew. A corpus that has
changed has another entry; notes beside the entries say which one it had last.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nmt.core.errors import DataError, os_advice
from nmt.data.duplicates import hash_corpus
from nmt.data.encoded_checks import has_right_sizes, is_well_formed
from nmt.data.encoded_corpus import FILES, EncodedCorpus, open_encoded, write_encoded
from nmt.data.filters import Filters
from nmt.data.formats.corpus import Corpus, read_pairs
from nmt.data.links import read_links
from nmt.data.source_changes import Note, Snapshot
from nmt.system.atomic_files import atomic_folder
from nmt.system.untrusted_files import MAX_JSON_BYTES, open_regular, parse_json, read_regular
from nmt.text.reader import Item, SourceReader

FORMAT_VERSION: Final = 1
_MANIFEST: Final = "manifest.json"

logger = logging.getLogger(__name__)


def encode_corpus(
    files: Corpus[Item],
    source_reader: SourceReader[Item],
    target_reader: SourceReader[str],
    *,
    filters: Filters,
    folder: Path,
    num_processes: int = 1,
    before: Sequence[Corpus[Item]] = (),
) -> EncodedCorpus:
    """A corpus as tokens: from the cache, or encoded now and put there.

    Memory does not grow with the corpus, but where duplicates are looked for: by 8 bytes a pair,
    and 16 now and then.

    Args:
        files: where the pairs are.
        source_reader: encodes the sources.
        target_reader: encodes the target side; may be the same.
        filters: what pairs to leave out.
        folder: of the cache, for any number of corpora; made where it is missing.
        num_processes: that encode a large corpus; up to 1: it is done here.
        before: the corpora whose pairs are left out here, where duplicates are left out.

    Raises:
        DataError: the corpus cannot be read (see `read_pairs`), the filters leave nothing of it,
            its alignments do not fit (see `read_links`), a file changes while it is read, or the
            cache cannot be written.
        TransientError: a process has died.
    """
    if files.alignments is not None and (source_reader.samples or target_reader.samples):
        raise DataError(
            f"{files.alignments}: alignments need tokens that stay the same, and the tokenizer "
            "samples them: set tokenizer.sampling_alpha: 0, or leave the alignments out"
        )
    snapshot = Snapshot.take(files)
    before = before if filters.deduplicate else ()
    settings = _settings(files, source_reader, target_reader, filters, before)
    key = _key(settings, snapshot.digests)
    entry, note = folder / key, Note(folder, files, settings)
    readers = (source_reader, target_reader)
    is_whole = _is_whole(entry, *readers)
    note.tell_change(key, is_encoded=is_whole)
    if not is_whole:
        try:
            with _lock(folder, key):
                # Another process may have made it in the meantime.
                if not _is_whole(entry, *readers):
                    hashes = chain.from_iterable(map(hash_corpus, before))
                    _make(entry, snapshot, *readers, filters, num_processes, hashes)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot write the cache of encoded text: {error.strerror}; "
                + (os_advice(error) or "give permission there, or choose another folder")
            ) from error
    note.write(key)
    return open_encoded(entry, source_reader, target_reader)


def _settings(
    files: Corpus[Item],
    source_reader: SourceReader[Item],
    target_reader: SourceReader[str],
    filters: Filters,
    before: Sequence[Corpus[Item]],
) -> dict[str, Any]:
    """All that the content of an entry follows from besides the files."""
    settings: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "tokenizers": [
            [source_reader.fingerprint(), source_reader.samples],
            [target_reader.fingerprint(), target_reader.samples],
        ],
        "filters": asdict(filters),
    }
    # Without these the key is the one that it has always been.
    if before:
        settings["before"] = [Snapshot.take(corpus).digests for corpus in before]
    if files.alignments is not None and files.alignment_units != "words":
        settings["alignment_units"] = files.alignment_units
    return settings


def _key(settings: dict[str, Any], digests: list[str]) -> str:
    """A name for all that the content of an entry follows from, wherever the files are."""
    everything = json.dumps(settings | {"files": digests}, sort_keys=True)
    return hashlib.sha256(everything.encode()).hexdigest()[:32]


@contextmanager
def _lock(folder: Path, key: str) -> Iterator[None]:
    """Held by one process at a time; the system frees it when the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    # (Neither waiting nor failing where it is a named pipe.)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    file = os.open(folder / f"{key}.lock", flags, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _make(
    entry: Path,
    snapshot: Snapshot,
    source_reader: SourceReader[Item],
    target_reader: SourceReader[str],
    filters: Filters,
    num_processes: int,
    before: Iterable[NDArray[np.uint64]],
) -> None:
    """Put an entry in its place; the lock is held."""
    if entry.exists():
        logger.warning("%s: the encoded corpus is damaged, and is made anew", entry)
    files = snapshot.files
    links = None
    if files.alignments is not None:
        links = read_links(files, source_reader, target_reader)
    with atomic_folder(entry) as fresh:
        with snapshot.unchanged():
            report = write_encoded(
                read_pairs(files),
                source_reader,
                target_reader,
                filters,
                fresh,
                links,
                num_processes,
                before,
            )
        if report.num_kept == 0:
            raise DataError(
                f"{files}: the filters leave nothing: {report}; check the files, or widen the"
                " filters"
            )
        (fresh / _MANIFEST).write_text(json.dumps(_content(fresh), indent=1))


def _is_whole(
    entry: Path, source_reader: SourceReader[Any], target_reader: SourceReader[str]
) -> bool:
    """Return whether an entry is complete; right checksums of wrong content are not enough."""
    try:
        manifest = parse_json(read_regular(entry / _MANIFEST, MAX_JSON_BYTES))
        corpus = open_encoded(entry, source_reader, target_reader)
        return (
            isinstance(manifest, dict)
            and manifest.keys() == {path.name for path in _files(entry)} <= FILES
            and has_right_sizes(corpus)  # before all is read
            and manifest == _content(entry)
            and is_well_formed(corpus)
        )
    except (OSError, ValueError, TypeError):
        return False


def _content(entry: Path) -> dict[str, str]:
    """The SHA-256 of each file of an entry."""
    sums = {}
    for path in _files(entry):
        with open_regular(path) as file:
            sums[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def _files(entry: Path) -> list[Path]:
    return sorted(path for path in entry.iterdir() if path.name != _MANIFEST)
