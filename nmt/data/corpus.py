"""Raw text in: lines of one file, pairs of two files or of one TSV file, streamed.

What a corpus is, whatever its source, is here too (`Corpus`); `nmt.data.grids` has the other kind.

Only a line feed ends a line (with the carriage return before it, if there is one): the other
characters that Unicode counts as line breaks are text, or else files that are aligned by ``wc -l``
would come apart.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar, Generic, Literal

from nmt.alignment.units import AlignmentUnits
from nmt.core.console import ONCE, FirstWarnings
from nmt.core.errors import DataError
from nmt.data.lines import MAX_LINE_BYTES, open_binary, raw_lines, without_end
from nmt.text.reader import Item

_BOM = b"\xef\xbb\xbf"
_UTF16_FIRST_BYTES = b"\xff\xfe"  # of its byte order marks
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

OnError = Literal["raise", "replace", "blank"]


@dataclass(frozen=True)
class Corpus(ABC, Generic[Item]):
    """Where pairs of a source, which its class reads, and a line of target text are.

    Attributes:
        source: the sources.
        target: the target sentences, one for each source; None: the file of the sources has them.
        alignments: links between their words, in Pharaoh format, line for line.
        max_line_bytes: the most bytes of a line; a longer one is read as an empty line.
        alignment_units: what a word of `alignments` is.
    """

    item: ClassVar[str]
    """What one source is called."""
    correspondence: ClassVar[str]
    """How two files belong together."""

    source: Path
    target: Path | None = None
    alignments: Path | None = None
    max_line_bytes: int = MAX_LINE_BYTES
    alignment_units: AlignmentUnits = "words"

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
        targets = read_lines(self.target, max_line_bytes=self.max_line_bytes)
        for source, line in zip_longest(self.read_sources(), targets):
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
        return read_lines(self.source, max_line_bytes=self.max_line_bytes)

    def read(self) -> Iterator[tuple[str, str]]:
        """The pairs of two files or of a TSV file, in order; see `read_pairs`."""
        return self._read_tsv() if self.target is None else super().read()

    def _read_tsv(self) -> Iterator[tuple[str, str]]:
        lines = _read_texts(self.source, "raise", self.max_line_bytes)
        for number, line in enumerate(lines, start=1):
            columns = ["", ""] if line is None else line.split("\t")
            if len(columns) != 2:
                raise DataError(
                    f"{self.source}, line {number}: {len(columns) - 1} tabs, where one is needed, "
                    "between source and target"
                )
            yield columns[0], columns[1]


def read_lines(
    path: Path, on_error: OnError = "raise", max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[str]:
    """Read the lines of a UTF-8 file, without their ends.

    Args:
        path: a file, or a pipe, which is read once; plain, gzip, bzip2 or xz, whatever its name.
        on_error: what to do with bytes that are no UTF-8 and with NUL; see `decode_lines`.
        max_line_bytes: the most bytes of a line; a longer one is read as an empty line.

    Raises:
        DataError: the file cannot be read, is compressed in another way, its compressed data is
            damaged, or a line cannot be decoded.
    """
    return ("" if line is None else line for line in _read_texts(path, on_error, max_line_bytes))


def count_lines_of(path: Path, max_line_bytes: int = MAX_LINE_BYTES) -> int:
    """Return how many lines `read_lines` finds in a file, whatever they hold.

    Raises:
        DataError: the file cannot be read, or its compressed data is damaged.
    """
    with open_binary(path) as file:
        return sum(1 for _ in raw_lines(file, str(path), max_line_bytes))


def decode_lines(
    stream: BufferedReader,
    name: str,
    on_error: OnError = "raise",
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[str]:
    """Read the lines of a binary stream as text, without a byte order mark and line ends.

    Args:
        stream: UTF-8; plain, gzip, bzip2 or xz.
        name: of the input, for messages.
        on_error: "raise", or "replace" the bytes that are no UTF-8, and NUL, with U+FFFD and a
            warning, where one bad line must not stop the others; or read the line as "blank".
        max_line_bytes: the most bytes of a line; a longer one is read past in constant memory, and
            is an empty line, with a warning.

    Raises:
        DataError: the compressed data cannot be read, or a line is no UTF-8 or holds a NUL byte
            (and `on_error` is "raise").
    """
    lines = _decode_lines(stream, name, on_error, max_line_bytes)
    return ("" if line is None else line for line in lines)


def _read_texts(path: Path, on_error: OnError, max_line_bytes: int) -> Iterator[str | None]:
    with open_binary(path) as file:
        yield from _decode_lines(file, str(path), on_error, max_line_bytes)


def _decode_lines(
    stream: BufferedReader, name: str, on_error: OnError, max_line_bytes: int
) -> Iterator[str | None]:
    """Read lines as `decode_lines` does; one that is too long is None."""
    more = f"{name}: there are more such lines; they are not named"
    bad_lines, long_lines = FirstWarnings(more, ONCE), FirstWarnings(more, ONCE)
    lines = raw_lines(stream, name, max_line_bytes)
    for number, (line, start, is_too_long) in enumerate(lines, start=1):
        skipped = len(_BOM) if number == 1 and line.startswith(_BOM) else 0
        content = without_end(line)[skipped:]
        text, bad = _decode(content)
        if is_too_long:
            # Where it was cut there may be half a character; a file of NULs is no text at all.
            bad = None if on_error == "replace" else _index(content, 0)
        if bad is not None:
            offset, byte = start + skipped + bad, content[bad]
            if on_error == "raise" or is_too_long:
                raise _undecodable(name, number, offset, byte)
            read_as = "U+FFFD" if on_error == "replace" else "an empty line"
            bad_lines.warn(
                "%s, line %d, byte %d: 0x%02x is no UTF-8 text; read as %s",
                *(name, number, offset, byte, read_as),
            )
            text = content.decode("utf-8", errors="replace").replace("\0", _REPLACEMENT)
            text = text if on_error == "replace" else ""
        if is_too_long:
            limit = f"{max_line_bytes:,}"
            long_lines.warn(
                "%s, line %d: longer than %s bytes; read as an empty line", name, number, limit
            )
        yield None if is_too_long else text


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
        has_text = has_text or not (is_blank(source) or is_blank(target))
        yield source, target
    if count == 0:
        raise DataError(f"{files}: empty; a corpus needs at least one sentence pair")
    if not has_text:
        raise DataError(f"{files}: none of the {count:,} pairs has text on both sides")


def is_blank(item: object) -> bool:
    """Return whether there is nothing but white space; a grid is never blank."""
    return isinstance(item, str) and not item.strip()


def _decode(content: bytes) -> tuple[str, int | None]:
    """Return the text, and where the first byte is that cannot be in a text."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return "", error.start
    return text, _index(content, 0)


def _index(content: bytes, byte: int) -> int | None:
    return content.index(byte) if byte in content else None


def _undecodable(name: str, number: int, offset: int, byte: int) -> DataError:
    where = f"{name}, line {number}, byte {offset}"
    if offset == 0 and byte in _UTF16_FIRST_BYTES:
        return DataError(f"{where}: this looks like UTF-16; convert the file to UTF-8")
    if byte == 0:
        return DataError(f"{where}: a NUL byte, which no text holds; is the file UTF-8 text?")
    return DataError(
        f"{where}: 0x{byte:02x} is not UTF-8; convert the file to UTF-8, or correct the line"
    )
