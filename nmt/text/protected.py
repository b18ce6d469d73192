"""Parts of a text that a translation must not change: links, e-mail addresses and numbers."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

# Letters and digits of scripts with spaces: a link in Chinese text starts where they start.
_LETTERS: Final = "A-Za-z0-9À-ɏͰ-ϿЀ-ӿ"
_LOCAL: Final = f"{_LETTERS}._%+'’&=~-"  # of the part before the @
_WITHOUT_SPACES: Final = "฀-๿⺀-鿿가-힯"  # Thai, Chinese, Japanese; Korean particles
# Links end before blanks, brackets of HTML, quotation marks and full-width punctuation. A scheme,
# or the local part of an address, starts where its characters start, so a search takes linear time.
_LINK: Final = re.compile(
    rf"(?<![{_LETTERS}])(?:[a-z][a-z0-9+.-]{{1,15}}://|mailto:|www\.)"
    rf"(?:[a-z0-9.:@_-]++(?=[{_WITHOUT_SPACES}])"  # of a host, before a word in such a script
    r"""|[^\s<>"“”«»„。，、！？；：）」』】》]+)"""
    rf"|(?<![{_LOCAL}])[{_LOCAL}]{{1,64}}@[{_LETTERS}-]+(?:\.[{_LETTERS}-]+)+",
    re.IGNORECASE,
)
# Digits with the signs before and inside numbers, dates, times and ranges: -3.5, 1,000, 12:30,
# 30/11/2026, 2026-11-30; no-break spaces separate three digits.
_NUMBER: Final = re.compile(
    r"(?:(?<![^\s(\[])[-−+])?\d++"
    r"(?:[.,:/'’·٫٬．：／–‑-]\d++|[\u00a0\u202f]\d{3}(?!\d))*+"
)
_AFTER_A_LINK: Final = ".,;:!?'*_~…"


def split_links(text: str) -> list[tuple[str, bool]]:
    """Return the parts of a text, in order, and whether each is a link or an e-mail address."""
    return _split(text, _find_links(text))


def split_numbers(text: str) -> list[tuple[str, bool]]:
    """Return the parts of a text, in order, and whether each is a number."""
    return _split(text, _find_numbers(text))


def find_numbers(text: str) -> list[str]:
    """Return the numbers of a text in digits; one after a letter, as in B2B, is none."""
    return [text[start:end] for start, end in _find_numbers(text)]


def lacks_numbers(source: str, translation: str) -> bool:
    """Return whether a number of the source occurs less often in its translation."""
    return bool(Counter(find_numbers(source)) - Counter(find_numbers(translation)))


def _split(text: str, spans: Iterable[tuple[int, int]]) -> list[tuple[str, bool]]:
    parts, done = [], 0
    for start, end in spans:
        parts += [(text[done:start], False), (text[start:end], True)]
        done = end
    parts.append((text[done:], False))
    return [part for part in parts if part[0]]


def _find_links(text: str) -> Iterator[tuple[int, int]]:
    for match in _LINK.finditer(text):
        start, end = match.span()
        surplus = match[0].count(")") - match[0].count("(")
        while end > start and (text[end - 1] in _AFTER_A_LINK or text[end - 1] == ")"):
            if text[end - 1] == ")":
                if surplus <= 0:  # the bracket belongs to the link
                    break
                surplus -= 1
            end -= 1
        yield start, end


def _find_numbers(text: str) -> Iterator[tuple[int, int]]:
    for match in _NUMBER.finditer(text):
        before = text[max(match.start() - 1, 0) : match.start()]
        # A letter with upper and lower case; years in Korean and Arabic follow other letters.
        if before != "_" and before.lower() == before.upper():
            yield match.span()
