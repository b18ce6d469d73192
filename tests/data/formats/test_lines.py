"""Lines of bytes: long ones, compressed ones, and files that are made to take memory."""

import bz2
import gzip
import io
import lzma
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from nmt.core.errors import DataError
from nmt.data.formats.lines import MAX_LINE_BYTES, count_lines, decode_lines, raw_lines, read_lines
from nmt.data.formats.text_pairs import TextCorpus, TsvCorpus

COMPRESSIONS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
Compress = Callable[[bytes], bytes]
compressions = pytest.mark.parametrize(
    ("kind", "compress"), COMPRESSIONS.items(), ids=list(COMPRESSIONS)
)


def stream_of(content: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(content))


def texts(content: bytes, most: int) -> list[str]:
    return list(decode_lines(stream_of(content), "x", "replace", most))


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_line_of_just_the_limit_is_read_and_a_longer_one_is_empty(end: bytes) -> None:
    assert texts(b"a\n12345" + end, 5) == ["a", "12345"]
    assert texts(b"a\n123456" + end, 5) == ["a", ""]
    assert texts(b"a\n123456" + end + (b"b" if end else b""), 5) == [
        "a",
        "",
        *(["b"] if end else []),
    ]


@given(st.lists(st.text("aß\r", max_size=12)), st.integers(1, 9), st.booleans())
def test_line_numbers_never_shift(lines: list[str], most: int, is_ended: bool) -> None:
    content = "\n".join(lines).encode() + (b"\n" if is_ended else b"")
    whole = list(decode_lines(stream_of(content), "x"))
    bounded = list(decode_lines(stream_of(content), "x", "replace", most))
    assert bounded == [line if len(line.encode()) <= most else "" for line in whole]


def test_a_long_line_is_named_once_with_file_and_line(caplog: pytest.LogCaptureFixture) -> None:
    assert texts(b"a\n1234567\nb\n", 3) == ["a", "", "b"]
    assert [record.getMessage() for record in caplog.records] == [
        "x, line 2: longer than 3 bytes; read as an empty line"
    ]
    caplog.clear()
    texts(b"1234\n" * 30, 3)
    assert len(caplog.records) == 11
    assert "further such lines are not reported" in caplog.text


def test_offsets_count_the_whole_of_a_long_line() -> None:
    with pytest.raises(DataError, match=r"x, line 2, byte 100001: 0xff is not UTF-8"):
        list(decode_lines(stream_of(b"a" * 100_000 + b"\n\xff\n"), "x", max_line_bytes=10))


def test_character_cut_by_the_limit_is_not_a_bad_byte(caplog: pytest.LogCaptureFixture) -> None:
    assert list(decode_lines(stream_of("aß€€€€\nb\n".encode()), "x", max_line_bytes=2)) == ["", "b"]
    assert "UTF-8" not in caplog.text


def test_corpus_of_nuls_is_refused() -> None:
    with pytest.raises(DataError, match=r"x, line 1, byte 0: NUL byte, so not text; convert"):
        list(decode_lines(stream_of(b"\0" * 10_000_000), "x"))


class Zeros(io.RawIOBase):
    """100 MB without a line feed, and a line after it."""

    def __init__(self) -> None:
        self._rest = 100_000_000
        self._end = b"\nend\n"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        num = min(len(buffer), self._rest)
        if num:
            self._rest -= num
            buffer[:num] = bytes(num)
            return num
        buffer[: len(self._end)] = self._end
        num, self._end = len(self._end), b""
        return num


def test_a_line_of_100_mb_takes_constant_memory() -> None:
    tracemalloc.start()
    lines = list(decode_lines(io.BufferedReader(Zeros()), "x", "replace"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lines == ["", "end"]
    assert peak < 10_000_000


@compressions
def test_a_compression_bomb_takes_constant_memory(kind: str, compress: Compress) -> None:
    bomb = compress(bytes(10_000_000) + b"\nend\n")
    assert len(bomb) < 40_000
    tracemalloc.start()
    lines = list(decode_lines(stream_of(bomb), "x", "replace"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lines == ["", "end"]
    assert peak < 12_000_000


def test_an_xz_file_that_asks_for_gigabytes_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**20}]
    # The size of the dictionary stands in the header of the block, with a checksum of its own.
    stream = bytearray(lzma.compress(b"a\n", filters=filters))
    header_size = (stream[12] + 1) * 4
    place = stream.index(b"\x21\x01", 12) + 2
    stream[place] = 40  # 4 GB
    header = bytes(stream[12 : 12 + header_size - 4])
    stream[12 + header_size - 4 : 12 + header_size] = zlib.crc32(header).to_bytes(4, "little")
    with pytest.raises(DataError, match="x: the xz data is corrupted or truncated after line 0"):
        list(raw_lines(stream_of(bytes(stream)), "x"))


@compressions
@pytest.mark.parametrize("name", ["text.gz", "text.xz", "text"])
def test_compression_is_detected_by_content(
    kind: str, compress: Compress, name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(compress("ä\nb\n".encode()))
    assert list(read_lines(path)) == ["ä", "b"]
    assert count_lines(path) == 2


@compressions
def test_streams_one_after_the_other_are_one_text(kind: str, compress: Compress) -> None:
    assert texts(compress(b"a\nb") + compress(b"c\n"), 9) == ["a", "bc"]
    assert texts(compress(b""), 9) == []
    assert texts(compress(b"") + compress(b"a"), 9) == ["a"]


def test_padding_of_xz_is_passed_over() -> None:
    assert texts(lzma.compress(b"a\n") + bytes(8) + lzma.compress(b"b\n") + bytes(4), 9) == [
        "a",
        "b",
    ]


@compressions
@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-6],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole + b"garbage",
        lambda whole: whole[: len(whole) // 2] + b"garbage" + whole[len(whole) // 2 :],
    ],
    ids=["cut at the end", "cut in the middle", "garbage after it", "garbage in it"],
)
def test_damage_is_one_line(kind: str, compress: Compress, damage: Compress) -> None:
    whole = compress(b"".join(b"%d\n" % number for number in range(20_000)))
    with pytest.raises(
        DataError, match=rf"^x: the {kind} data is corrupted or truncated after line \d+; compress"
    ):
        list(raw_lines(stream_of(damage(whole)), "x"))


@pytest.mark.parametrize("text", ["BZh", "BZh91AY", "BZh9 is a name", "PK", "(µ"])
def test_text_that_begins_like_an_archive_is_text(text: str) -> None:
    assert texts(text.encode() + b"\n", 99) == [text]


def test_other_archives_are_named_and_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a", "text\n")
    (tmp_path / "a.zst").write_bytes(b"\x28\xb5\x2f\xfd\x04\x00")
    for name, kind in (("a.zip", "zip"), ("a.zst", r"Zstandard \(\.zst\)")):
        with pytest.raises(
            DataError,
            match=rf"{name}: {kind} is not supported; decompress the file, or use gzip",
        ):
            list(read_lines(tmp_path / name))


def test_long_line_only_drops_its_pair(tmp_path: Path) -> None:
    long = "x" * (MAX_LINE_BYTES + 1)
    (tmp_path / "a").write_text(f"1\n{long}\n3\n4\n")
    (tmp_path / "b").write_text(f"eins\nzwei\n{long}\nvier\n")
    files = TextCorpus(source=tmp_path / "a", target=tmp_path / "b")
    assert list(files.read_pairs()) == [("1", "eins"), ("", "zwei"), ("3", ""), ("4", "vier")]


def test_a_long_line_of_a_tsv_file_is_a_blank_pair(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(f"1\teins\n2\t{'x' * MAX_LINE_BYTES}\n3\tdrei\n")
    files = TsvCorpus(tsv=tmp_path / "a.tsv")
    assert list(files.read_pairs()) == [("1", "eins"), ("", ""), ("3", "drei")]


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom"])
def test_a_device_without_end_is_refused(path: str) -> None:
    with pytest.raises(DataError, match=f"{path}: is a device; give a file"):
        list(read_lines(Path(path)))


def test_dev_null_is_an_empty_file() -> None:
    assert list(read_lines(Path("/dev/null"))) == []


def test_lines_are_read_as_they_come() -> None:
    lines = decode_lines(stream_of(b"a\nb\n"), "x")
    assert next(lines) == "a"
    assert next(lines) == "b"
