"""Lines of UTF-8 text from a file or a stream, plain or compressed.

A line ends with a line feed, or with a carriage return and a line feed. Other Unicode line breaks
are text, because they would misalign files that have the same number of lines by ``wc -l``. Reading
takes constant memory for any stream: only the first bytes of a line over the limit are kept.
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

# Default maximum length of a line, without its line ending.
MAX_LINE_BYTES: Final = 1_000_000
_CHUNK: Final = 1 << 16
_BOM: Final = b"\xef\xbb\xbf"
_UTF16_FIRST_BYTES: Final = b"\xff\xfe"  # of byte order marks
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_REASONS: Final = {
    FileNotFoundError: "no such file",
    IsADirectoryError: "is a folder; give a file",
    PermissionError: "no permission to read it; change the permissions",
}

OnError = Literal["raise", "replace", "blank"]
# A raw line: its bytes with the line feed, its byte offset, and whether it is over the limit. Of a
# line over the limit only the first bytes are kept.
RawLine: TypeAlias = tuple[bytes, int, bool]


def read_lines(
    path: Path, on_error: OnError = "raise", max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[str]:
    """Read the lines of a UTF-8 file, without line endings.

    Args:
        path: a file or a pipe, read once. It may be plain, gzip, bzip2 or xz, under any name.
        on_error: handling of invalid UTF-8 and NUL bytes; see `decode_lines`.
        max_line_bytes: maximum length of a line in bytes; a longer one is read as an empty line.

    Raises:
        DataError: the file cannot be read, its compression is not supported, its compressed data is
            corrupted, or a line cannot be decoded.
    """
    return (line or "" for line in read_bounded_lines(path, on_error, max_line_bytes))


def read_bounded_lines(
    path: Path, on_error: OnError = "raise", max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[str | None]:
    """Read lines like `read_lines`, but yield None for a line over the limit."""
    with open_binary(path) as file:
        yield from _decode_lines(file, str(path), on_error, max_line_bytes)


def count_lines(path: Path, max_line_bytes: int = MAX_LINE_BYTES) -> int:
    """Count the lines of a file as `read_lines` does, without decoding them.

    Raises:
        DataError: the file cannot be read, or its compressed data is corrupted.
    """
    with open_binary(path) as file:
        return sum(1 for _ in raw_lines(file, str(path), max_line_bytes))


def decode_lines(
    stream: BufferedReader,
    name: str,
    on_error: OnError = "raise",
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[str]:
    """Decode the lines of a binary stream, without byte order mark and line endings.

    Args:
        stream: UTF-8 text; plain, gzip, bzip2 or xz.
        name: name of the input, for messages.
        on_error: handling of invalid UTF-8 and NUL bytes. "raise" raises an error, "replace" puts
            U+FFFD in their place, and "blank" reads the line as empty; the latter two warn.
        max_line_bytes: maximum length of a line in bytes. A longer one is skipped in constant
            memory and read as an empty line, with a warning.

    Raises:
        DataError: the compressed data cannot be read, or a line contains invalid UTF-8 or a NUL
            byte (and `on_error` is "raise").
    """
    return (line or "" for line in _decode_lines(stream, name, on_error, max_line_bytes))


def _decode_lines(
    stream: BufferedReader, name: str, on_error: OnError, max_line_bytes: int
) -> Iterator[str | None]:
    """Decode lines like `decode_lines`, but yield None for a line over the limit."""
    more = f"{name}: further such lines are not reported"
    bad_lines, long_lines = FirstWarnings(more, ONCE), FirstWarnings(more, ONCE)
    lines = raw_lines(stream, name, max_line_bytes)
    for number, (line, start, is_too_long) in enumerate(lines, start=1):
        skipped = len(_BOM) if number == 1 and line.startswith(_BOM) else 0
        content = without_end(line)[skipped:]
        text, bad = _decode(content)
        if is_too_long:
            # The cut may split a character, so only NUL is checked: a file of NULs is not text.
            bad = None if on_error == "replace" else _index(content, 0)
        if bad is not None:
            offset, byte = start + skipped + bad, content[bad]
            if on_error == "raise" or is_too_long:
                raise _undecodable(name, number, offset, byte)
            read_as = "U+FFFD" if on_error == "replace" else "an empty line"
            place = f"{name}, line {number}, byte {offset}"
            bad_lines.warn(f"{place}: 0x{byte:02x} is not UTF-8; read as {read_as}")
            text = content.decode("utf-8", errors="replace").replace("\0", _REPLACEMENT)
            text = text if on_error == "replace" else ""
        if is_too_long:
            what = f"longer than {max_line_bytes:,} bytes; read as an empty line"
            long_lines.warn(f"{name}, line {number}: {what}")
        yield None if is_too_long else text


def _decode(content: bytes) -> tuple[str, int | None]:
    """Return the text, and the index of the first invalid byte, if any."""
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
        return DataError(f"{where}: looks like UTF-16; convert the file to UTF-8")
    if byte == 0:
        return DataError(f"{where}: NUL byte, so not text; convert the file to UTF-8 text")
    return DataError(
        f"{where}: 0x{byte:02x} is not UTF-8; convert the file to UTF-8, or correct the line"
    )


def raw_lines(
    file: BufferedReader, name: str, max_line_bytes: int = MAX_LINE_BYTES
) -> Iterator[RawLine]:
    """Read the lines of a stream, plain or compressed with gzip, bzip2 or xz.

    Args:
        file: the stream, whose first bytes determine the compression. No more is read than needed.
        name: name of the stream, for messages.
        max_line_bytes: maximum length of a line in bytes, without its line ending.

    Raises:
        DataError: the compression is not supported, or the compressed data is corrupted.
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
            yield line, start, is_too_long  # before reading the rest, which may be endless
            rest = line
            while is_too_long and not rest.endswith(b"\n") and (rest := stream.readline(_CHUNK)):
                size += len(rest)
            start += size
    except (*DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{name}: cannot be read: {os_reason(error)}") from None
        raise DataError(
            f"{name}: the {kind} data is corrupted or truncated after line {number}; compress the "
            "file again"
        ) from None


def without_end(line: bytes) -> bytes:
    """Return a line without its line feed, or carriage return and line feed."""
    return line[:-1].removesuffix(b"\r") if line.endswith(b"\n") else line


def open_binary(path: Path) -> BufferedReader:
    """Open a file or a pipe for reading.

    Raises:
        DataError: the path does not exist, is a folder or a device, or cannot be opened.
    """
    try:
        file = path.open("rb")
        if _is_endless(file):
            file.close()
            raise DataError(f"{path}: is a device; give a file")
        return file
    except OSError as error:
        reason = _REASONS.get(type(error), f"cannot be opened: {os_reason(error)}")
        raise DataError(f"{path}: {reason}") from None
    except ValueError:  # a NUL or half a surrogate pair in the name
        raise DataError(f"{path}: not a valid file name") from None


def require_regular(path: Path) -> None:
    """Refuse pipes and other files that can be read only once.

    A missing or inaccessible path is not an error here; opening it reports the reason.

    Raises:
        DataError: the path is a pipe, a device or a socket.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(
            f"{path}: not a regular file, so it cannot be read twice; save the text to a file first"
        )


def _is_endless(file: BufferedReader) -> bool:
    """Return whether a file is a device such as /dev/zero, but not a terminal or /dev/null."""
    mode = os.fstat(file.fileno()).st_mode
    if not (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):
        return False
    return not file.isatty() and not os.path.samestat(os.fstat(file.fileno()), os.stat(os.devnull))
