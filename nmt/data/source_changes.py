"""Whether the files of a corpus are what they were: since they were encoded, and while they are."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from nmt.core.errors import DataError
from nmt.data.formats.corpus import Corpus
from nmt.data.formats.raw_lines import open_binary, require_regular
from nmt.system.files import read_regular

_KEY_BYTES: Final = 64  # of the name of an entry; it has 32

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceSnapshot:
    """What the files of a corpus held when it was taken.

    Attributes:
        files: the corpus.
        digests: the SHA-256 of each file.
        states: of each file, what differs when it was written to since; None: it is not there.
    """

    files: Corpus[Any]
    digests: list[str]
    states: list[tuple[int, ...] | None]

    @classmethod
    def take(cls, files: Corpus[Any]) -> Self:
        """Of what they hold now.

        Raises:
            DataError: a file cannot be read.
        """
        for path in files.paths:
            require_regular(path)
        states = [_state(path) for path in files.paths]  # before they are read: nothing is missed
        return cls(files, [sha256(path) for path in files.paths], states)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Within it the files must stay as they are.

        Raises:
            DataError: one did not, and nobody knows what of it was read.
        """
        try:
            yield
        except DataError:
            self._require_unchanged()  # which says more than an error of a file that was half there
            raise
        self._require_unchanged()

    def _require_unchanged(self) -> None:
        for path, digest, state in zip(self.files.paths, self.digests, self.states, strict=True):
            if _state(path) != state and sha256(path) != digest:
                raise DataError(
                    f"{path}: changed while it was being encoded; start again when nothing writes "
                    "to it any more"
                )


class LatestEntry:
    """Which entry of the cache a corpus had last, whatever its files held then.

    Args:
        folder: of the cache.
        files: the corpus, known by the paths of its files.
        settings: what it is encoded with; can be written as JSON.
    """

    def __init__(self, folder: Path, files: Corpus[Any], settings: object) -> None:
        identity = json.dumps([[str(path.resolve()) for path in files.paths], settings])
        name = hashlib.sha256(identity.encode()).hexdigest()[:32]
        self._path = folder / f"{name}.latest"
        self._files = files

    def warn_if_changed(self, key: str, *, is_encoded: bool) -> None:
        """Say it if that was another entry than it has now.

        Args:
            key: of the entry that it has now.
            is_encoded: whether that is there already.
        """
        if self._read() in (None, key):
            return
        logger.warning(
            "%s: changed since %s, when last encoded; %s",
            self._files,
            datetime.fromtimestamp(self._path.stat().st_mtime).strftime("%Y-%m-%d %H:%M"),
            "what is there now is in the cache, too" if is_encoded else "encoding it again",
        )

    def write(self, key: str) -> None:
        """Note the entry that it has now."""
        if self._read() != key and (self._path.is_file() or not os.path.lexists(self._path)):
            with suppress(OSError):  # a cache that is whole may be one that is only read
                self._path.write_text(key)

    def _read(self) -> str | None:
        try:
            return read_regular(self._path, _KEY_BYTES).decode()
        except (OSError, ValueError):
            return None


def sha256(path: Path) -> str:
    """Of what a file holds.

    Raises:
        DataError: it cannot be read.
    """
    with open_binary(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
