"""Lines of UTF-8 text from a file or a stream, plain or compressed.

Only a line feed ends a line (with the carriage return before it, if there is one): the other
characters that Unicode counts as line breaks are text, or else files that are aligned by ``wc -l``
would come apart. Whatever a stream holds, reading takes constant memory: of a line over the limit
only the first bytes are kept.
"""

import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Final, Literal, TypeAlias

from nmt.core.console import ONCE, FirstWarnings
from nmt.core.errors import DataError, os_reason
from nmt.data.formats.compression import DAMAGE, MAGIC, MAGIC_BYTES, decompress

MAX_LINE_BYTES: Final = 1_000_000
"""Default limit of a line, without its end."""
_CHUNK: Final = 1 << 16
_BOM: Final = b"\xef\xbb\xbf"
_UTF16_FIRST_BYTES: Final = b"\xff\xfe"  # of its byte order marks
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_REASONS: Final = {
    FileNotFoundError: "no such file",
    IsADirectoryError: "is a folder, where a file is needed",
    PermissionError: "no permission to read it",
}

OnError = Literal["raise", "replace", "blank"]
RawLine: TypeAlias = tuple[bytes, int, bool]
"""A line as it stands in the text: its bytes, with the line feed, or of one over the limit the
first bytes; how many bytes are before it; whether it is over the limit."""


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
    return (line or "" for line in read_bounded_lines(path, on_error, max_line_bytes))


def read_bounded_lines(
    path: Path, on_error: OnError = "raise", max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[str | None]:
    """Read lines as `read_lines` does, but a line over the limit as None."""
    with open_binary(path) as file:
        yield from _decode_lines(file, str(path), on_error, max_line_bytes)


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
    return (line or "" for line in _decode_lines(stream, name, on_error, max_line_bytes))


def _decode_lines(
    stream: BufferedReader, name: str, on_error: OnError, max_line_bytes: int
) -> Iterator[str | None]:
    """Read lines as `decode_lines` does, but a line over the limit as None."""
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
            place = f"{name}, line {number}, byte {offset}"
            bad_lines.warn(f"{place}: 0x{byte:02x} is no UTF-8 text; read as {read_as}")
            text = content.decode("utf-8", errors="replace").replace("\0", _REPLACEMENT)
            text = text if on_error == "replace" else ""
        if is_too_long:
            what = f"longer than {max_line_bytes:,} bytes; read as an empty line"
            long_lines.warn(f"{name}, line {number}: {what}")
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


def raw_lines(
    file: BufferedReader, name: str, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[RawLine]:
    """Read the lines of a stream, plain or compressed with gzip, bzip2 or xz.

    Args:
        file: the stream; its first bytes say how it is compressed. No more is read than needed.
        name: of the stream, for messages.
        max_line_bytes: the most bytes of a line, without its end.

    Raises:
        DataError: it is compressed in another way, or the compressed data is damaged.
    """
    magic = MAGIC.match(file.peek(MAGIC_BYTES)[:MAGIC_BYTES])
    kind = str(magic.lastgroup) if magic else "plain"
    stream = decompress(file, name, kind) if magic else file
    limit = max_line_bytes + len(b"\r\n")
    number = start = 0
    try:
        while line := stream.readline(limit):
            number += 1
            size = len(line)
            is_too_long = size > max_line_bytes and len(without_end(line)) > max_line_bytes
            yield line, start, is_too_long  # before the rest is read, which may be endless
            rest = line
            while is_too_long and not rest.endswith(b"\n") and (rest := stream.readline(_CHUNK)):
                size += len(rest)
            start += size
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{name}: cannot be read: {os_reason(error)}") from None
        raise DataError(
            f"{name}: the {kind} data is damaged or cut short after line {number}; "
            "make the file again"
        ) from None


def without_end(line: bytes) -> bytes:
    """Return a line without its line feed and the carriage return before that."""
    return line[:-1].removesuffix(b"\r") if line.endswith(b"\n") else line


def open_binary(path: Path) -> BufferedReader:
    """Open a file, or a pipe, for reading.

    Raises:
        DataError: it is missing, a folder, a device, not readable by this user, or cannot be
            opened.
    """
    try:
        file = path.open("rb")
        if _is_endless(file):
            file.close()
            raise DataError(f"{path}: is a device, where a file is needed")
        return file
    except OSError as error:
        reason = _REASONS.get(type(error), f"cannot be opened: {os_reason(error)}")
        raise DataError(f"{path}: {reason}") from None
    except ValueError:  # a NUL or half a surrogate pair in the name
        raise DataError(f"{path}: not a valid file name") from None


def require_regular(path: Path) -> None:
    """Refuse what can be read only once, as a pipe, where a file is read several times.

    What is missing, or may not be looked at, is left to whoever opens it.

    Raises:
        DataError: it is a pipe, a device or a socket.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(
            f"{path}: not a regular file, and it is read several times; write it to a file first"
        )


def _is_endless(file: BufferedReader) -> bool:
    """Return whether it is a device such as /dev/zero, and neither a terminal nor /dev/null."""
    mode = os.fstat(file.fileno()).st_mode
    if not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
        return False
    return not file.isatty() and not os.path.samestat(os.fstat(file.fileno()), os.stat(os.devnull))
