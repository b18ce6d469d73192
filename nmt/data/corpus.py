"""Raw text in: lines of one file, pairs of two files or of one TSV file, streamed.

What a corpus is, whatever its source, is here too (`Corpus`); `nmt.data.grids` has the other kind.

Only a line feed ends a line (with the carriage return before it, if there is one): the other
characters that Unicode counts as line breaks are text, or else files that are aligned by ``wc -l``
would come apart.
"""

import gzip
import logging
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar, Generic, Literal

from nmt.errors import DataError
from nmt.text.reader import Item

_GZIP_MAGIC = b"\x1f\x8b"  # starts no UTF-8 text, so that the suffix of a file need not be right
_BOM = b"\xef\xbb\xbf"
_UTF16_FIRST_BYTES = b"\xff\xfe"  # of its byte order marks
_MOST_NAMED = 10  # lines with bytes that are replaced
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

logger = logging.getLogger(__name__)

OnError = Literal["raise", "replace"]


@dataclass(frozen=True)
class Corpus(ABC, Generic[Item]):
    """Where pairs of a source, which its class reads, and a line of target text are.

    Attributes:
        source: the sources.
        target: the target sentences, one for each source; None: the file of the sources has them.
        alignments: links between their words, in Pharaoh format, line for line.
    """

    item: ClassVar[str]
    """What one source is called."""
    correspondence: ClassVar[str]
    """How two files belong together."""

    source: Path
    target: Path | None = None
    alignments: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All that there are."""
        given = (self.source, self.target, self.alignments)
        return tuple(path for path in given if path is not None)

    def __str__(self) -> str:
        text = (self.source, self.target)
        return " and ".join(str(path) for path in text if path is not None)

    @abstractmethod
    def read_sources(self) -> Iterator[Item]:
        """The sources, in order."""

    def read(self) -> Iterator[tuple[Item, str]]:
        """The pairs of two files, in order; see `read_pairs`."""
        assert self.target is not None
        num_sources = num_targets = 0
        for source, line in zip_longest(self.read_sources(), read_lines(self.target)):
            num_sources += source is not None
            num_targets += line is not None
            if source is not None and line is not None:
                yield source, line
        if num_sources != num_targets:
            raise DataError(
                f"{self.source} has {num_sources:,} {self.item}s, {self.target} has "
                f"{num_targets:,} lines: {self.correspondence}"
            )


class ParallelFiles(Corpus[str]):
    """Two files of text, line for line; without `target`, a TSV file: source, a tab, target."""

    item = "line"
    correspondence = "line n of one must be the translation of line n of the other"

    def read_sources(self) -> Iterator[str]:
        """The lines of the source."""
        return read_lines(self.source)

    def read(self) -> Iterator[tuple[str, str]]:
        """The pairs of two files or of a TSV file, in order; see `read_pairs`."""
        return _tsv(self.source) if self.target is None else super().read()


def read_lines(path: Path, on_error: OnError = "raise") -> Iterator[str]:
    """The lines of a UTF-8 file, plain or gzip (told by its content), without their ends.

    Args:
        path: a file, or anything else that can be read once from start to end, as a pipe.
        on_error: what to do with bytes that are no UTF-8 and with NUL; see `decode_lines`.

    Raises:
        DataError: the file cannot be read, its gzip data is damaged, or a line cannot be decoded.
    """
    with open_binary(path) as file:
        yield from decode_lines(unpacked(file), str(path), on_error)


def count_lines_of(path: Path) -> int:
    """How many lines `read_lines` finds in a file, without looking at what they hold.

    Raises:
        DataError: the file cannot be read, or its gzip data is damaged.
    """
    with open_binary(path) as file:
        return sum(1 for _ in _name_damage(unpacked(file), str(path)))


def unpacked(file: BufferedReader) -> Iterator[bytes]:
    """The lines of a binary stream, plain or gzip, told by its first bytes, as they come."""
    compressed = file.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
    yield from gzip.GzipFile(fileobj=file) if compressed else file


def decode_lines(raw: Iterable[bytes], name: str, on_error: OnError = "raise") -> Iterator[str]:
    """Lines of bytes (a binary stream, for one) as text, without a byte order mark and line ends.

    Args:
        raw: lines, each with its line feed.
        name: of the input, for messages.
        on_error: "raise", or "replace" the bytes that are no UTF-8, and NUL, with U+FFFD and a
            warning, where one bad line must not stop the others.

    Raises:
        DataError: a line is no UTF-8 or holds a NUL byte (and `on_error` is "raise").
    """
    start = 0  # of the line, in bytes
    num_bad = 0
    for number, line in enumerate(_name_damage(raw, name), start=1):
        skipped = len(_BOM) if number == 1 and line.startswith(_BOM) else 0
        content = _without_end(line)[skipped:]
        text, bad = _decode(content)
        if bad is not None:
            if on_error == "raise":
                raise _undecodable(name, number, start + skipped + bad, content[bad])
            num_bad += 1
            _warn(num_bad, name, number, start + skipped + bad, content[bad])
            text = content.decode("utf-8", errors="replace").replace("\0", _REPLACEMENT)
        start += len(line)
        yield text


def read_pairs(files: Corpus[Item]) -> Iterator[tuple[Item, str]]:
    """The pairs of a corpus, blank ones too, in order.

    Raises:
        DataError: a file cannot be read (see `read_lines`), the files do not have the same number
            of items, a line of a TSV file does not have exactly one tab, there are no lines at
            all, or no pair has text on both sides. What concerns the corpus as a whole is known,
            and raised, when its end is reached.
    """
    count = 0
    has_text = False
    for source, target in files.read():
        count += 1
        has_text = has_text or not (_is_blank(source) or _is_blank(target))
        yield source, target
    if count == 0:
        raise DataError(f"{files}: empty; a corpus needs at least one sentence pair")
    if not has_text:
        raise DataError(f"{files}: none of the {count:,} pairs has text on both sides")


def open_binary(path: Path) -> BufferedReader:
    """A file opened for reading.

    Raises:
        DataError: it is missing, a folder, not readable by this user, or cannot be opened.
    """
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder, where a file is needed") from None
    except PermissionError:
        raise DataError(f"{path}: no permission to read it") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from None


def _is_blank(item: object) -> bool:
    """Whether there is nothing but white space; a grid is never blank."""
    return isinstance(item, str) and not item.strip()


def _tsv(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_lines(path), start=1):
        columns = line.split("\t")
        if len(columns) != 2:
            raise DataError(
                f"{path}, line {number}: {len(columns) - 1} tabs, where one is needed, between"
                " source and target"
            )
        yield columns[0], columns[1]


def _name_damage(raw: Iterable[bytes], name: str) -> Iterator[bytes]:
    number = 0
    try:
        for line in raw:
            number += 1
            yield line
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(
            f"{name}: the gzip data is damaged or cut short after line {number}; make the file anew"
        ) from None


def _without_end(line: bytes) -> bytes:
    return line[:-1].removesuffix(b"\r") if line.endswith(b"\n") else line


def _decode(content: bytes) -> tuple[str, int | None]:
    """The text, and where the first byte is that cannot be in a text."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return "", error.start
    return text, content.index(0) if b"\0" in content else None


def _warn(num_bad: int, name: str, number: int, offset: int, byte: int) -> None:
    """Name the first bad lines, and of a file that is no text not a million of them."""
    if num_bad <= _MOST_NAMED:
        logger.warning(
            "%s, line %d, byte %d: 0x%02x is no UTF-8 text; read as U+FFFD",
            name,
            number,
            offset,
            byte,
        )
    elif num_bad == _MOST_NAMED + 1:
        logger.warning("%s: there are more such lines; they are not named", name)


def _undecodable(name: str, number: int, offset: int, byte: int) -> DataError:
    where = f"{name}, line {number}, byte {offset}"
    if offset == 0 and byte in _UTF16_FIRST_BYTES:
        return DataError(f"{where}: this looks like UTF-16; convert the file to UTF-8")
    if byte == 0:
        return DataError(f"{where}: a NUL byte, which no text holds; is the file UTF-8 text?")
    return DataError(
        f"{where}: 0x{byte:02x} is not UTF-8; convert the file to UTF-8, or mend the line"
    )
