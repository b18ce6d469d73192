from time import process_time

import pytest
from hypothesis import given, strategies as st

from nmt.text.protected import find_numbers, lacks_numbers, split_links, split_numbers

LINKS = {
    "See https://nmt.org/a?b=1&c=2#d.": ["https://nmt.org/a?b=1&c=2#d"],
    "(see http://x.org/Tom_(cat))": ["http://x.org/Tom_(cat)"],
    "www.example.org, ftp://x.org/y!": ["www.example.org", "ftp://x.org/y"],
    "Write to tom.cat+1@example.co.uk.": ["tom.cat+1@example.co.uk"],
    "请写信到tom@example.org。": ["tom@example.org"],
    "请看https://x.org/猫。": ["https://x.org/猫"],
    "www.x.org:80吧 https://x.org에서 https://例え.jp/a": [
        "www.x.org:80",
        "https://x.org",
        "https://例え.jp/a",
    ],
    "„https://x.org“": ["https://x.org"],
    "o'brien@x.org, müller@bücher.de; «ольга@пример.рф»": [
        "o'brien@x.org",
        "müller@bücher.de",
        "ольга@пример.рф",
    ],
    "git+ssh://x.org/y.git S3://a/b": ["git+ssh://x.org/y.git", "S3://a/b"],
    "tom@home, a@b, @tom, http: //x, a://": [],
}
NUMBERS = {
    "In 1990, 3.5 or 1,000.": ["1990", "3.5", "1,000"],
    "12:30 on 30/11/2026": ["12:30", "30/11/2026"],
    "B2B, COVID-19, x_1, A4": ["19"],
    "10km, 3rd, 90s, 1er": ["10", "3", "90", "1"],
    "有3个，2024年": ["3", "2024"],
    "50% of $7": ["50", "7"],
    "-5 °C (+3, −2) a-1 - 4": ["-5", "+3", "−2", "1", "4"],
    "2026-11-30, 1990–1995, 1'000'000, 3-": ["2026-11-30", "1990–1995", "1'000'000", "3"],
    "1\u00a0000\u202f000 1\u00a02024": ["1\u00a0000\u202f000", "1", "2024"],
    "2024년, 제3장": ["2024", "3"],
    "٣ ٤٫٥": ["٣", "٤٫٥"],
    "３．５と１２：３０": ["３．５", "１２：３０"],
}


@pytest.mark.parametrize("text", LINKS)
def test_links_and_addresses_are_found(text: str) -> None:
    assert [part for part, is_link in split_links(text) if is_link] == LINKS[text]


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_are_found(text: str) -> None:
    assert find_numbers(text) == NUMBERS[text]


@given(st.text("ab @.:/-_%()w13,", max_size=40) | st.text())
def test_parts_are_the_text(text: str) -> None:
    assert "".join(part for part, _ in split_links(text)) == text
    assert "".join(part for part, _ in split_numbers(text)) == text


def test_a_number_is_needed_as_often_as_in_the_source() -> None:
    assert lacks_numbers("2 of 2", "2 von zwei")
    assert not lacks_numbers("2 of 2", "2, 2 und 3")
    assert lacks_numbers("3.5", "3,5")
    assert lacks_numbers("-2", "2")
    assert lacks_numbers("2026-11-30", "30-11-2026")


@pytest.mark.parametrize(
    "text", ["a.", "a@", "a+", "http://)", "1.", "1\u00a0000", "-", "www.", ")"]
)
def test_time_is_linear(text: str) -> None:
    start = process_time()
    split_links(text * 30_000)
    split_links("http://" + text * 30_000)
    split_numbers(text * 30_000)
    assert process_time() - start < 3
