"""On-disk cache of encoded corpora.

An entry is a folder named by a hash of everything that determines its content: the bytes of the
corpus, the tokenizers, the filters. It is written under a temporary name and then renamed, so that
every visible entry is complete. A lock lets one of several processes do the work. An entry stores
the SHA-256 of each file, so that later corruption is detected when it is opened, and the corpus is
encoded again. A changed corpus gets a new entry; a file in the folder records its latest entry.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Final, Generic

import numpy as np
from numpy.typing import NDArray

from nmt.core.errors import DataError, os_advice
from nmt.data.duplicates import hash_corpus
from nmt.data.encoded_corpus import FILES, EncodedCorpus, open_encoded, write_encoded
from nmt.data.filters import Filters
from nmt.data.formats.corpus import Corpus
from nmt.data.guided_alignment import read_links
from nmt.data.ragged import RaggedArray, blocks
from nmt.data.source_changes import LatestEntry, require_unchanged, take_digests
from nmt.system.files import MAX_JSON_BYTES, atomic_folder, file_sha256, parse_json, read_regular
from nmt.system.plugins import sources
from nmt.text.reader import Item, SourceReader

FORMAT_VERSION: Final = 1
_MANIFEST: Final = "manifest.json"
_BLOCK: Final = 2**20  # values, or rows, checked at a time

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
    """Return the encoded corpus from the cache; encode it first if it is missing.

    Memory use is constant, except for deduplication, which needs 8 bytes per pair and 16 at peak.

    Args:
        files: the corpus.
        source_reader: encodes the sources.
        target_reader: encodes the target side; may be the same.
        filters: the filters of pairs.
        folder: the folder of the cache, which any number of corpora may share; created if missing.
        num_processes: processes that encode a large corpus; up to 1: encode in this process.
        before: earlier corpora; with deduplication, pairs that occur in them are dropped.

    Raises:
        DataError: the corpus or its alignments cannot be used (see `read_pairs`, `read_links`), or
            the filters drop all pairs. Also if a file changes while it is read, or the cache cannot
            be written.
        TransientError: a process has died.
    """
    before = before if filters.deduplicate else ()
    readers = source_reader, target_reader
    content = _Content(files, take_digests(files), readers, filters, before)
    key = content.key()
    entry, latest = folder / key, LatestEntry(folder, files, content.settings)
    is_whole = content.is_in(entry)
    latest.warn_if_changed(key, is_encoded=is_whole)
    if not is_whole:
        try:
            # Another process may have written it in the meantime.
            with _lock(folder, key):
                if not content.is_in(entry):
                    content.write(entry, num_processes)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot write the cache of encoded text ({error.strerror}); "
                + (os_advice(error) or "change the permissions, or choose another folder")
            ) from error
    latest.write(key)
    return open_encoded(entry, *readers)


@dataclass(frozen=True)
class _Content(Generic[Item]):
    """Content of an entry, and everything that determines it; see `encode_corpus`."""

    files: Corpus[Item]
    digests: list[str]
    readers: tuple[SourceReader[Item], SourceReader[str]]
    filters: Filters
    before: Sequence[Corpus[Item]]

    def __post_init__(self) -> None:
        alignments = self.files.alignments
        if alignments is not None and any(reader.samples for reader in self.readers):
            raise DataError(
                f"{alignments}: alignments are not supported with sampled subwords; set "
                "tokenizer.sampling_alpha: 0, or leave the alignments out"
            )

    def key(self) -> str:
        """Return a hash of everything that determines the content, except the file paths."""
        everything = json.dumps(self.settings | {"files": self.digests}, sort_keys=True)
        return hashlib.sha256(everything.encode()).hexdigest()[:32]

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Return everything that determines the content, except the files."""
        settings: dict[str, Any] = {
            "version": FORMAT_VERSION,
            "tokenizers": [[reader.fingerprint(), reader.samples] for reader in self.readers],
            "filters": asdict(self.filters),
        }
        # Defaults are left out, so that the keys of existing entries stay valid.
        if self.before:
            settings["before"] = [
                [*take_digests(corpus), *filter(None, [corpus.settings])] for corpus in self.before
            ]
        if self.files.alignments is not None and self.files.alignment_units != "words":
            settings["alignment_units"] = self.files.alignment_units
        modules = {type(part).__module__ for part in (*self.readers, self.files, *self.before)}
        plugins = [source for source in sources() if source.module.__name__ in modules]
        if plugins:
            settings["plugins"] = sorted(source.sha256 for source in plugins)
        if plugins or self.files.settings:
            settings["corpus"] = [type(self.files).__name__, self.files.settings]
        return settings

    def is_in(self, entry: Path) -> bool:
        """Return whether an entry is complete: correct checksums and well-formed content."""
        try:
            manifest = parse_json(read_regular(entry / _MANIFEST, MAX_JSON_BYTES))
            corpus = open_encoded(entry, *self.readers)
            return (
                isinstance(manifest, dict)
                and manifest.keys() == {path.name for path in _files(entry)} <= FILES
                and _has_right_sizes(corpus)  # before reading it all
                and manifest == _checksums(entry)
                and _is_well_formed(corpus)
            )
        except (OSError, ValueError, TypeError):
            return False

    def write(self, entry: Path, num_processes: int) -> None:
        """Encode the corpus into an entry, while holding its lock."""
        if entry.exists():
            logger.warning("%s: the encoded corpus is corrupted; encoding it again", entry)
        files, readers = self.files, self.readers
        with atomic_folder(entry) as fresh:
            with require_unchanged(files, self.digests):
                report = write_encoded(
                    files.read_pairs(),
                    *readers,
                    self.filters,
                    fresh,
                    None if files.alignments is None else read_links(files, *readers),
                    num_processes,
                    chain.from_iterable(map(hash_corpus, self.before)),
                )
            if report.num_kept == 0:
                raise DataError(
                    f"{files}: no pair passes the filters ({report}); check the files, or relax "
                    "data.filters"
                )
            (fresh / _MANIFEST).write_text(json.dumps(_checksums(fresh), indent=1))


@contextmanager
def _lock(folder: Path, key: str) -> Iterator[None]:
    """Hold the lock of an entry; the system releases it whenever the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    # O_NONBLOCK: opening a named pipe must neither block nor fail.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    file = os.open(folder / f"{key}.lock", flags, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _checksums(entry: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of an entry, by name."""
    return {path.name: file_sha256(path) for path in _files(entry)}


def _files(entry: Path) -> list[Path]:
    return sorted(path for path in entry.iterdir() if path.name != _MANIFEST)


# Checks of the content of an entry beyond its checksums: offsets, ids, text and links.


def _has_right_sizes(corpus: EncodedCorpus) -> bool:
    """Return whether the files have the declared numbers of rows and values; reads very little."""
    return all(
        len(array) == corpus.report.num_kept and array.offsets[-1] == len(array.values)
        for array in _arrays(corpus)
    )


def _is_well_formed(corpus: EncodedCorpus) -> bool:
    """Return whether all content of the files is valid; reads them once."""
    return (
        all(map(_has_rows, _arrays(corpus)))
        and all(
            _are_tokens(side.tokens.values[block], len(side.reader))
            for side in (corpus.source_side, corpus.target_side)
            for block in blocks(len(side.tokens.values), _BLOCK)
        )
        and (
            corpus.links is None
            or all(_are_links(corpus, corpus.links, block) for block in blocks(len(corpus), _BLOCK))
        )
    )


def _arrays(corpus: EncodedCorpus) -> list[RaggedArray]:
    source, target = corpus.source_side, corpus.target_side
    found = (source.tokens, target.tokens, source.text, target.text, corpus.links)
    return [array for array in found if array is not None]


def _has_rows(array: RaggedArray) -> bool:
    """Return whether the offsets start at 0 and never decrease."""
    parts = (array.offsets[rows.start : rows.stop + 1] for rows in blocks(len(array), _BLOCK))
    return bool(array.offsets[0] == 0) and all(bool((np.diff(part) >= 0).all()) for part in parts)


def _are_tokens(values: NDArray[Any], num_tokens: int) -> bool:
    is_cell = values.dtype.kind == "f"  # of a grid
    return bool((np.isfinite(values) if is_cell else values < num_tokens).all())


def _are_links(corpus: EncodedCorpus, links: RaggedArray, block: slice) -> bool:
    """Return whether the links of a block of pairs refer to existing tokens."""
    links = links.select(np.arange(block.start, block.stop))
    if bool((links.lengths % 2).any()):
        return False
    ends = links.values.reshape(-1, 2)
    sides = (corpus.source_side, corpus.target_side)
    return all(
        bool((ends[:, column] < np.repeat(side.tokens.lengths[block], links.lengths // 2)).all())
        for column, side in enumerate(sides)
    )
