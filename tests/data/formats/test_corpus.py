"""Raw text in: every way that a file can be wrong has its line."""

import gzip
import io
import re
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from nmt.core.errors import DataError
from nmt.data.formats.lines import decode_lines, read_lines
from nmt.data.formats.text_pairs import TextCorpus, TsvCorpus


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def stream_of(content: bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(content))


def lines_of(content: bytes, tmp_path: Path) -> list[str]:
    return list(read_lines(write(tmp_path / "text", content)))


def pairs_of(source: bytes, target: bytes, tmp_path: Path) -> list[tuple[str, str]]:
    paths = write(tmp_path / "a.de", source), write(tmp_path / "a.en", target)
    files = TextCorpus(source=paths[0], target=paths[1])
    return list(files.read_pairs())


def test_a_line_ends_with_a_line_feed_and_the_last_one_need_not(tmp_path: Path) -> None:
    assert lines_of(b"a b\n\nc\n", tmp_path) == ["a b", "", "c"]
    assert lines_of(b"a b\n\nc", tmp_path) == ["a b", "", "c"]
    assert lines_of(b"", tmp_path) == []


def test_carriage_return_is_only_dropped_at_the_end_of_a_line(tmp_path: Path) -> None:
    assert lines_of(b"a\r\nb\rc\r\n\r\n", tmp_path) == ["a", "b\rc", ""]


def test_other_line_breaks_of_unicode_are_text(tmp_path: Path) -> None:
    text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
    assert lines_of(f"{text}\n{text}\n".encode(), tmp_path) == [text, text]


def test_byte_order_mark_is_only_dropped_at_the_start(tmp_path: Path) -> None:
    assert lines_of("\ufeffa\n\ufeffb\n".encode(), tmp_path) == ["a", "\ufeffb"]
    assert lines_of("\ufeff\n".encode(), tmp_path) == [""]


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\ufeff")))
)
def test_written_content_is_read_back(lines: list[str]) -> None:
    raw = "".join(f"{line}\n" for line in lines).encode()
    assert list(decode_lines(stream_of(raw), "text")) == lines


@pytest.mark.parametrize("name", ["text.gz", "text"])
def test_gzip_is_detected_by_content(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, gzip.compress("ä\nb\n".encode()))
    assert list(read_lines(path)) == ["ä", "b"]


def test_plain_text_with_the_suffix_of_gzip_is_text(tmp_path: Path) -> None:
    assert list(read_lines(write(tmp_path / "text.gz", b"a\n"))) == ["a"]


def test_gzip_that_is_cut_short(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b"%d\n" % number for number in range(10_000)))
    path = write(tmp_path / "text.gz", whole[:-2000])
    with pytest.raises(DataError, match=r"text\.gz: the gzip data is corrupted or truncated after"):
        list(read_lines(path))


def test_gzip_with_a_changed_byte(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(b"a\n" * 1000))
    whole[-5] ^= 1
    with pytest.raises(DataError, match=r"text\.gz: the gzip data is corrupted or truncated after"):
        list(read_lines(write(tmp_path / "text.gz", bytes(whole))))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'none.de'}: no such file")):
        list(read_lines(tmp_path / "none.de"))


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder; give a file"):
        list(read_lines(tmp_path))


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the one who runs the tests may be root
    with pytest.raises(DataError, match=r"secret\.de: no permission to read it; change the perm"):
        list(read_lines(tmp_path / "secret.de"))


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be opened: File name too long"):
        list(read_lines(tmp_path / ("x" * 1000)))


def test_invalid_utf8_names_file_line_and_byte(tmp_path: Path) -> None:
    # "ä" is 2 bytes: the first line has 4 with its end, the second "xy" before the bad byte.
    content = "äb\n".encode() + b"xy\xe4z\n"
    with pytest.raises(DataError, match=r"text, line 2, byte 6: 0xe4 is not UTF-8; convert"):
        lines_of(content, tmp_path)


def test_offsets_count_a_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1, byte 4: 0xff"):
        lines_of(b"\xef\xbb\xbfa\xff\n", tmp_path)
    with pytest.raises(DataError, match="line 2, byte 3: 0xff"):
        lines_of(b"a\r\n\xff\n", tmp_path)


def test_utf16_is_called_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1, byte 0: looks like UTF-16; convert"):
        lines_of("text\n".encode("utf-16"), tmp_path)


def test_nul_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="text, line 2, byte 3: NUL byte, so not text; convert"):
        lines_of(b"a\nb\0c\n", tmp_path)


def test_bad_bytes_can_be_replaced_so_that_each_line_gives_a_line() -> None:
    raw = stream_of(b"a\xffb\nc\0d\ne\n")
    assert list(decode_lines(raw, "stdin", "replace")) == ["a\ufffdb", "c\ufffdd", "e"]


def test_pairs_of_two_files(tmp_path: Path) -> None:
    assert pairs_of(b"a\n\nc\n", b"x\ny\n\n", tmp_path) == [("a", "x"), ("", "y"), ("c", "")]


@pytest.mark.parametrize(
    ("source", "target", "counts"),
    [
        (b"a\nb\nc\n", b"x\n", r"a\.de has 3 lines, .*a\.en has 1"),
        (b"a\n", b"x\n" * 1200, r"a\.de has 1 lines, .*a\.en has 1,200"),
        (b"a\n", b"", r"a\.de has 1 lines, .*a\.en has 0"),
    ],
)
def test_files_of_different_length_are_refused_with_both_counts(
    source: bytes, target: bytes, counts: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=counts):
        pairs_of(source, target, tmp_path)


def test_an_empty_corpus(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.de and .*a\.en: must not be empty; give at least one"):
        pairs_of(b"", b"", tmp_path)


def test_only_blank_lines(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pair of 2 has text on both sides; check"):
        pairs_of(b"\n \t\n", b"\nx\n", tmp_path)


def test_pairs_of_a_tsv_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", b"a b\tx y\r\nc\t\n")
    assert list(TsvCorpus(tsv=path).read_pairs()) == [("a b", "x y"), ("c", "")]


@pytest.mark.parametrize(("line", "tabs"), [(b"no tab", 0), (b"a\tb\tc", 2), (b"", 0)])
def test_a_tsv_line_without_exactly_one_tab(line: bytes, tabs: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", b"a\tx\n" + line + b"\n")
    with pytest.raises(DataError, match=rf"a\.tsv, line 2: must have one tab, .*, not {tabs}$"):
        list(TsvCorpus(tsv=path).read_pairs())


def test_an_empty_tsv_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.tsv: must not be empty"):
        list(TsvCorpus(tsv=write(tmp_path / "a.tsv", b"")).read_pairs())


def test_a_line_of_100_000_words_is_a_line(tmp_path: Path) -> None:
    long = b"word " * 100_000
    assert pairs_of(long + b"\na\n", b"x\ny\n", tmp_path)[1] == ("a", "y")
