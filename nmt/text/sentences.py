"""Ends of sentences, found by rules.

A full stop, question mark or exclamation mark ends a sentence if a blank follows, and then a letter
that is not in lower case. A full stop does not end a sentence after a single letter, letters with
inner stops, an abbreviation of the language (`abbreviations.toml`), or a number that may be an
ordinal. Chinese and Japanese full stops, dandas and their like need no blank. Where the rules are
in doubt, they do not split: a model translates two sentences better than half of one.
"""

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Final, NamedTuple

# Languages that write an ordinal number as a number with a full stop.
_ORDINALS: Final = frozenset(
    {"bs", "cs", "da", "de", "et", "eu", "fi", "hr", "hu", "is", "lb", "lv"}
    | {"nb", "nds", "nn", "no", "pl", "sk", "sl", "sr", "tr"}
)
_CLOSERS: Final = "\"'”’“‘»›«)\\]）」』】》〉〗］*_"
_OPENERS: Final = "\"'“„‘‚«»‹(\\[¿¡—–\\-（「『【《〈〖［*•"
# Ends that need no blank after them: full-width, Devanagari, Arabic, Urdu, Burmese, Khmer,
# Ethiopic, Armenian and Tibetan.
_WIDE: Final = "。！？｡।॥؟۔။។።։།"
_END: Final = re.compile(
    rf"(?P<stop>(?:[{_WIDE}.!?…]|(?<!\d)．|．(?!\d))+)"  # ．: also a decimal point
    # [1]: a reference; French has a blank before the end of a quotation.
    rf"(?P<close>(?:[{_CLOSERS}]|\[\d{{1,3}}\]|[ \u00a0\u202f][»›](?!\w))*)"
    rf"(?P<blank>\s*)(?P<open>[{_OPENERS}\s]*)"
)
_WIDE_END: Final = re.compile(f"[{_WIDE}．]")
_EDGES: Final = "\"'“”„‘’‚«»‹›([{<¿¡*-–—/"
_BEFORE_GAPS: Final = (" ", "\N{NO-BREAK SPACE}", "[", "(")  # "saw … Paris", "saw [...] Paris"
_INITIALS: Final = re.compile(r"[^\W\d_]|[^\W\d_]{1,2}(?:\.[^\W\d_]{1,2})+")
_ROMAN: Final = re.compile("[IVXL]+")
_MOST_LETTERS: Final = 40  # of a word that may be an abbreviation


class Abbreviations(NamedTuple):
    """The abbreviations of a language: those before words, and those before numbers."""

    words: frozenset[str]
    before_numbers: frozenset[str]


_NO_ABBREVIATIONS: Final = Abbreviations(frozenset(), frozenset())


def split_sentences(text: str, language: str | None = None) -> list[str]:
    """Return the sentences of a text, each with the blanks after it; joined, they are the text.

    Args:
        text: may have several lines; a line break is a blank.
        language: BCP 47 tag, which selects abbreviations; None: those of all languages.
    """
    sentences, start = [], 0
    for end in _find_ends(text, (language or "").partition("-")[0].lower()):
        sentences.append(text[start:end])
        start = end
    if start < len(text):
        sentences.append(text[start:])
    return sentences


def _find_ends(text: str, language: str) -> Iterator[int]:
    """Yield the places where a sentence ends and another one starts."""
    start = 0
    first = len(text) - len(text.lstrip())  # place of the first letter of this sentence
    for match in _END.finditer(text):
        following = text[match.end() : match.end() + 1]
        end = match.end("blank")
        if end == len(text):
            continue
        if _WIDE_END.search(match["stop"]):
            # Direct speech within a sentence: the quotation is followed by who says it.
            continues = bool(match["close"]) and not match["blank"] and not match["open"]
        elif not match["blank"] or following.islower() or not following.isalnum():
            continues = True
        elif match["stop"] == ".":
            word = _word_before(text, match.start(), start)
            is_first = match.start() - len(word) <= first + 1  # a bracket may come before it
            continues = _continues(word, following, language, is_first=is_first)
        else:
            is_pause = match["stop"] == "…" or match["stop"].startswith("..")
            before = text[match.start() - 1 : match.start()]
            is_gap = before in _BEFORE_GAPS and match["close"] in ("", "]", ")")
            continues = is_pause and (is_gap or not following.isupper())
        if not continues:
            yield end
            start = first = end


def _word_before(text: str, place: int, start: int) -> str:
    """Return the end of the word before a place; without opening quotes if it is a whole word."""
    words = text[max(start, place - _MOST_LETTERS) : place].split()
    has_word = bool(words) and not text[place - 1].isspace()
    return words[-1].lstrip(_EDGES) if has_word else ""


def _continues(word: str, following: str, language: str, *, is_first: bool) -> bool:
    """Return whether the sentence continues after this word with a full stop.

    Args:
        word: the word, without the full stop.
        following: the next letter or digit, which is not in lower case.
        language: ISO 639 code, or "".
        is_first: whether the word is the first one of its sentence.
    """
    if word.isdecimal():
        is_item = is_first and len(word) <= 3  # the number of a list or a heading
        return is_item or (len(word) <= 2 and language in _ORDINALS)
    if _ROMAN.fullmatch(word) and (is_first or language in _ORDINALS):
        return True
    words, before_numbers = _abbreviations().get(language, _NO_ABBREVIATIONS)
    word = word.lower()
    if word in words or _INITIALS.fullmatch(word):
        return True
    return word in before_numbers and following.isdecimal()


@functools.cache
def _abbreviations() -> Mapping[str, Abbreviations]:
    """Return the abbreviations of each language, and of all languages under ""."""
    file = files("nmt.text").joinpath("abbreviations.toml")
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    found = {
        language: Abbreviations(
            frozenset(kinds["words"].split()), frozenset(kinds["numbers"].split())
        )
        for language, kinds in table.items()
    }
    words, numbers = zip(*found.values(), strict=True)
    return {**found, "": Abbreviations(frozenset().union(*words), frozenset().union(*numbers))}
