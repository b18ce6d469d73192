"""Parts of a text that a translation must not change: links, e-mail addresses and numbers."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from nmt.core.writing_systems import has_no_spaces

# Links end before blanks, brackets of HTML, quotation marks and full-width punctuation. The local
# part of an address starts where its characters start, so that a search takes linear time.
_LINK: Final = re.compile(
    r"""(?<![A-Za-z0-9])(?:https?://|ftp://|mailto:|www\.)[^\s<>"“”«»„。，、！？；：）」』】》]+"""
    r"|(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
    re.IGNORECASE,
)
# Digits with the signs that stand inside numbers, dates and times: 3.5, 1,000, 12:30, 30/11/2026.
_NUMBER: Final = re.compile(r"\d++(?:[.,:/]\d++)*+")
_AFTER_A_LINK: Final = ".,;:!?'*_~…"


def split_links(text: str) -> list[tuple[str, bool]]:
    """Return the parts of a text, in order, and whether each is a link or an e-mail address."""
    return _split(text, _find_links(text))


def split_numbers(text: str) -> list[tuple[str, bool]]:
    """Return the parts of a text, in order, and whether each is a number."""
    return _split(text, _find_numbers(text))


def find_numbers(text: str) -> list[str]:
    """Return the numbers of a text in digits; a digit in a word, as in B2B, is none."""
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
        start, end = match.span()
        around = text[max(start - 1, 0) : start] + text[end : end + 1]
        if not any(map(_is_letter_of_a_word, around)):
            yield start, end


def _is_letter_of_a_word(character: str) -> bool:
    """Return whether a digit next to this character belongs to a word."""
    return (character.isalpha() or character == "_") and not has_no_spaces(character)
