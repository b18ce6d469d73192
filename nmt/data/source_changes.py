"""Detection of changes to corpus files, since and during their encoding."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from nmt.core.errors import DataError
from nmt.data.formats.corpus import Corpus
from nmt.data.formats.lines import open_binary, require_regular
from nmt.system.files import read_regular

_KEY_BYTES: Final = 64  # limit for the name of an entry, which has 32

logger = logging.getLogger(__name__)


def take_digests(files: Corpus[Any]) -> list[str]:
    """Return the SHA-256 of each file of a corpus.

    Raises:
        DataError: a file cannot be read, or can be read only once.
    """
    for path in files.paths:
        require_regular(path)
    return [sha256(path) for path in files.paths]


@contextmanager
def require_unchanged(files: Corpus[Any], digests: Sequence[str]) -> Iterator[None]:
    """Refuse files that change inside the `with`, because it is unknown what was read.

    Args:
        files: the corpus.
        digests: the result of `take_digests` before reading.

    Raises:
        DataError: a file has changed; replaces errors from reading a half-written file.
    """
    try:
        yield
    except DataError:
        _compare(files, digests)
        raise
    _compare(files, digests)


def _compare(files: Corpus[Any], digests: Sequence[str]) -> None:
    for path, digest in zip(files.paths, digests, strict=True):
        if sha256(path) != digest:
            raise DataError(
                f"{path}: changed while it was being encoded; start again when it no longer changes"
            )


class LatestEntry:
    """Record of the latest cache entry of a corpus, which is identified by its paths.

    Args:
        folder: the folder of the cache.
        files: the corpus.
        settings: the settings of the encoding, serializable as JSON.
    """

    def __init__(self, folder: Path, files: Corpus[Any], settings: object) -> None:
        identity = json.dumps([[str(path.resolve()) for path in files.paths], settings])
        name = hashlib.sha256(identity.encode()).hexdigest()[:32]
        self._path = folder / f"{name}.latest"
        self._files = files

    def warn_if_changed(self, key: str, *, is_encoded: bool) -> None:
        """Warn if the latest entry is not the current one.

        Args:
            key: the key of the current entry.
            is_encoded: whether the current entry is already in the cache.
        """
        if self._read() in (None, key):
            return
        then = datetime.fromtimestamp(self._path.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
        what = "the current version is in the cache" if is_encoded else "encoding it again"
        logger.warning("%s: changed since %s, when last encoded; %s", self._files, then, what)

    def write(self, key: str) -> None:
        """Record the key of the current entry."""
        if self._read() != key and (self._path.is_file() or not os.path.lexists(self._path)):
            with suppress(OSError):  # a complete cache may be read-only
                self._path.write_text(key)

    def _read(self) -> str | None:
        try:
            return read_regular(self._path, _KEY_BYTES).decode()
        except (OSError, ValueError):
            return None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        DataError: the file cannot be read.
    """
    with open_binary(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
