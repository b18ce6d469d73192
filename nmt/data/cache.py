"""Corpora encoded once and kept: the folder of the cache, and what in it belongs to what.

An entry is a folder named by a hash of all that its content follows from: the bytes of the corpus,
the tokenizers, the filters. It is written under another name and then renamed, so that an entry
that can be seen is whole; a lock lets one of several processes do the work. The SHA-256 of each
file is kept, so that an entry that was damaged later is found when it is opened, and encoded again.
A corpus that has changed has another entry; notes in the folder say which one it had last.
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
from nmt.text.reader import Item, SourceReader

FORMAT_VERSION: Final = 1
_MANIFEST: Final = "manifest.json"
_BLOCK: Final = 2**20  # values, or rows, that are checked together

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
    before = before if filters.deduplicate else ()
    content = _Content(files, take_digests(files), source_reader, target_reader, filters, before)
    key = content.key()
    entry, latest = folder / key, LatestEntry(folder, files, content.settings)
    is_whole = content.is_in(entry)
    latest.warn_if_changed(key, is_encoded=is_whole)
    if not is_whole:
        try:
            # Another process may have made it in the meantime.
            with _lock(folder, key):
                if not content.is_in(entry):
                    content.write(entry, num_processes)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot write the cache of encoded text: {error.strerror}; "
                + (os_advice(error) or "give permission there, or choose another folder")
            ) from error
    latest.write(key)
    return open_encoded(entry, source_reader, target_reader)


@dataclass(frozen=True)
class _Content(Generic[Item]):
    """What an entry holds, and all that this follows from; see `encode_corpus`."""

    files: Corpus[Item]
    digests: list[str]
    source_reader: SourceReader[Item]
    target_reader: SourceReader[str]
    filters: Filters
    before: Sequence[Corpus[Item]]

    def __post_init__(self) -> None:
        alignments = self.files.alignments
        if alignments is not None and (self.source_reader.samples or self.target_reader.samples):
            raise DataError(
                f"{alignments}: alignments need tokens that stay the same, and the tokenizer "
                "samples them: set tokenizer.sampling_alpha: 0, or leave the alignments out"
            )

    def key(self) -> str:
        """Return a name for all that the content follows from, wherever the files are."""
        everything = json.dumps(self.settings | {"files": self.digests}, sort_keys=True)
        return hashlib.sha256(everything.encode()).hexdigest()[:32]

    @cached_property
    def settings(self) -> dict[str, Any]:
        """All that the content follows from besides the files."""
        readers = (self.source_reader, self.target_reader)
        settings: dict[str, Any] = {
            "version": FORMAT_VERSION,
            "tokenizers": [[reader.fingerprint(), reader.samples] for reader in readers],
            "filters": asdict(self.filters),
        }
        # Without these the key is the one that it has always been.
        if self.before:
            settings["before"] = [take_digests(corpus) for corpus in self.before]
        if self.files.alignments is not None and self.files.alignment_units != "words":
            settings["alignment_units"] = self.files.alignment_units
        return settings

    def is_in(self, entry: Path) -> bool:
        """Return whether an entry is complete; checksums that fit wrong content do not suffice."""
        try:
            manifest = parse_json(read_regular(entry / _MANIFEST, MAX_JSON_BYTES))
            corpus = open_encoded(entry, self.source_reader, self.target_reader)
            return (
                isinstance(manifest, dict)
                and manifest.keys() == {path.name for path in _files(entry)} <= FILES
                and _has_right_sizes(corpus)  # before all is read
                and manifest == _checksums(entry)
                and _is_well_formed(corpus)
            )
        except (OSError, ValueError, TypeError):
            return False

    def write(self, entry: Path, num_processes: int) -> None:
        """Put an entry in its place; the lock is held."""
        if entry.exists():
            logger.warning("%s: the encoded corpus is damaged, and is encoded again", entry)
        files, readers = self.files, (self.source_reader, self.target_reader)
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
                    f"{files}: the filters leave nothing: {report}; check the files, or widen the"
                    " filters"
                )
            (fresh / _MANIFEST).write_text(json.dumps(_checksums(fresh), indent=1))


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


def _checksums(entry: Path) -> dict[str, str]:
    """The SHA-256 of each file of an entry."""
    return {path.name: file_sha256(path) for path in _files(entry)}


def _files(entry: Path) -> list[Path]:
    return sorted(path for path in entry.iterdir() if path.name != _MANIFEST)


# What an entry on disk can be wrong in, whatever its checksums say: offsets, ids, text and links.


def _has_right_sizes(corpus: EncodedCorpus) -> bool:
    """Return whether the files have as many rows and values as they say; little of them is read."""
    return all(
        len(array) == corpus.report.num_kept and array.offsets[-1] == len(array.values)
        for array in _arrays(corpus)
    )


def _is_well_formed(corpus: EncodedCorpus) -> bool:
    """Return whether all that the files hold can be used; they are read once."""
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
    """Return whether offsets start at 0 and never fall."""
    parts = (array.offsets[rows.start : rows.stop + 1] for rows in blocks(len(array), _BLOCK))
    return bool(array.offsets[0] == 0) and all(bool((np.diff(part) >= 0).all()) for part in parts)


def _are_tokens(values: NDArray[Any], num_tokens: int) -> bool:
    is_cell = values.dtype.kind == "f"  # of a grid
    return bool((np.isfinite(values) if is_cell else values < num_tokens).all())


def _are_links(corpus: EncodedCorpus, links: RaggedArray, block: slice) -> bool:
    """Return whether the links of some pairs are between tokens that there are."""
    links = links.select(np.arange(block.start, block.stop))
    if bool((links.lengths % 2).any()):
        return False
    ends = links.values.reshape(-1, 2)
    sides = (corpus.source_side, corpus.target_side)
    return all(
        bool((ends[:, column] < np.repeat(side.tokens.lengths[block], links.lengths // 2)).all())
        for column, side in enumerate(sides)
    )
