"""Lines of UTF-8 text from a file or a stream.

Only a line feed ends a line (with the carriage return before it, if there is one): the other
characters that Unicode counts as line breaks are text, or else files that are aligned by ``wc -l``
would come apart.
"""

from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Literal

from nmt.core.console import ONCE, FirstWarnings
from nmt.core.errors import DataError
from nmt.data.formats.raw_lines import MAX_LINE_BYTES, open_binary, raw_lines, without_end

_BOM = b"\xef\xbb\xbf"
_UTF16_FIRST_BYTES = b"\xff\xfe"  # of its byte order marks
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

OnError = Literal["raise", "replace", "blank"]


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
    return (
        "" if line is None else line for line in read_bounded_lines(path, on_error, max_line_bytes)
    )


def count_lines(path: Path, max_line_bytes: int = MAX_LINE_BYTES) -> int:
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


def read_bounded_lines(path: Path, on_error: OnError, max_line_bytes: int) -> Iterator[str | None]:
    """Read lines as `read_lines` does, but a line over the limit as None."""
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
