"""Documents: text with lines, indents and links, or HTML, translated sentence by sentence.

A document is split into segments, which are sentences without the links in them. What is between
segments stays as it is. `translate_document` is a generator, so that a command can translate the
segments at once, and a server can wait for its queue.
"""

import html
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal
from unicodedata import east_asian_width

from nmt.core.special_tokens import UNK
from nmt.core.writing_systems import is_punctuation
from nmt.inference.inputs import Input
from nmt.inference.translation import Translation
from nmt.text.html_text import find_texts
from nmt.text.protected import find_numbers, lacks_numbers, split_links, split_numbers
from nmt.text.sentences import split_sentences

if TYPE_CHECKING:
    from nmt.inference.translator import Translator

DocumentFormat = Literal["text", "html"]

# Formats of files by the suffix of their names.
FORMATS: Final[dict[str, DocumentFormat]] = {
    ".txt": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
}

# A blank, in HTML; it starts where its blanks start, so that a search takes linear time.
_LINE_BREAK: Final = re.compile("(?<![ \t])[ \t]*[\n-\r\x1c-\x1e\x85\u2028\u2029]\\s*")
# What starts a line of text besides blanks, and is no part of its first sentence: marks of list
# items, headings, quotations and dialogues, and boxes of tasks.
_LINE_START: Final = re.compile(r"\s*+(?:(?:[-+*>#•‣◦–—]++|\d{1,3}\)|\[[ xX]\])\s++)*+")
_CELL_END: Final = re.compile("([\t|]+)")  # of a table
_BRACKETS: Final = ("()", "[]", "{}")


@dataclass(frozen=True)
class DocumentOptions:
    """Options of a document: how it is split, and what a translation must keep.

    Attributes:
        format: text or html.
        language: BCP 47 tag of the source, which selects abbreviations; None: not known.
        splits: split lines into sentences.
        protects: keep links, e-mail addresses and numbers as they are.
        requirable: returns whether a number can be required in a translation (`Input.phrases`). A
            translation without the numbers of its source is then tried again with them; None: no
            number can be required (see `requirable_numbers`).
    """

    format: DocumentFormat = "text"
    language: str | None = None
    splits: bool = True
    protects: bool = True
    requirable: Callable[[str], bool] | None = None


@dataclass(frozen=True)
class DocumentResult:
    """A translated document.

    Attributes:
        text: of the whole document.
        segments: sources and their translations, in order.
    """

    text: str
    segments: list[tuple[str, Translation]]


@dataclass
class _Segment:
    """Text that is translated as one line; `parts` replace it if it was split at its numbers."""

    original: str
    source: str
    touches_next: bool = False  # the next sentence follows without a blank
    translation: Translation | None = None
    parts: "list[str | _Segment]" = field(default_factory=list)

    def list_segments(self) -> "Iterator[_Segment]":
        if self.parts:
            yield from (part for part in self.parts if isinstance(part, _Segment))
        else:
            yield self

    def lacks_numbers(self) -> bool:
        return self.translation is None or lacks_numbers(self.source, self.translation.text)

    def write(self) -> str:
        if self.parts:
            written = _write(self.parts)
        else:
            assert self.translation is not None, "every segment is translated"
            written = self.translation.text
        if written == self.source:
            return self.original
        needs_blank = self.touches_next and written and east_asian_width(written[-1]) not in "WF"
        return written + " " if needs_blank else written


@dataclass(frozen=True)
class _Text:
    """A line, or a text of HTML, as segments and what is between them."""

    original: str
    parts: list[str | _Segment]
    is_html: bool = False

    def write(self) -> str:
        written = _write(self.parts)
        if not self.is_html:
            return written
        # Text that is unchanged keeps the way in which its characters were written.
        unescaped = html.unescape(self.original)
        return self.original if written == unescaped else html.escape(written, quote=False)


def translate_document(
    text: str, options: DocumentOptions
) -> Generator[list[Input], Sequence[Translation], DocumentResult]:
    """Translate a document; yields lines to translate, and is sent their translations.

    There are at most three rounds. The first one has all segments. If a number is missing in a
    translation, the next ones require it, and at last translate what is between the numbers.
    """
    texts = list(_read(text, options))
    segments = [part for one in texts for part in one.parts if isinstance(part, _Segment)]
    if segments:
        translations = yield [Input(segment.source) for segment in segments]
        for segment, translation in zip(segments, translations, strict=True):
            segment.translation = translation
    if options.protects:
        yield from _restore_numbers(segments, options.requirable)
    return DocumentResult(
        "".join(one.write() for one in texts),
        [
            (part.source, part.translation)
            for segment in segments
            for part in segment.list_segments()
            if part.translation is not None
        ],
    )


def run_document(
    text: str, options: DocumentOptions, translate: Callable[[list[Input]], Sequence[Translation]]
) -> DocumentResult:
    """Translate a document with a function that translates lines."""
    rounds = translate_document(text, options)
    try:
        lines = next(rounds)
        while True:
            lines = rounds.send(translate(lines))
    except StopIteration as end:
        result: DocumentResult = end.value
        return result


def requirable_numbers(translator: "Translator") -> Callable[[str], bool] | None:
    """Return which numbers a translator can be required to write; None: its search cannot."""
    if not translator.runner.search.supports_phrases:
        return None
    return lambda number: UNK not in translator.target_tokenizer.encode(number)


def _restore_numbers(
    segments: list[_Segment], requirable: Callable[[str], bool] | None
) -> Generator[list[Input], Sequence[Translation], None]:
    lacking = [segment for segment in segments if segment.lacks_numbers()]
    if requirable is not None:
        numbers = [tuple(dict.fromkeys(find_numbers(segment.source))) for segment in lacking]
        again = [
            (segment, Input(segment.source, phrases=required))
            for segment, required in zip(lacking, numbers, strict=True)
            if all(map(requirable, required))
        ]
        if again:
            translations = yield [line for _, line in again]
            for (segment, _), translation in zip(again, translations, strict=True):
                segment.translation = translation
        lacking = [segment for segment in lacking if segment.lacks_numbers()]
    for segment in lacking:
        segment.parts = list(_segments(split_numbers(segment.source)))
    between = [part for segment in lacking for part in segment.list_segments()]
    if between:
        translations = yield [Input(part.source) for part in between]
        for part, translation in zip(between, translations, strict=True):
            part.translation = translation


def _read(text: str, options: DocumentOptions) -> Iterator[_Text]:
    """Yield the texts of a document, and as texts without segments what is between them."""
    if options.format == "text":
        for line in text.splitlines(keepends=True):
            yield _Text(line, list(_split_line(line, options)))
        return
    done = 0
    for start, end in find_texts(text):
        yield _Text("", [text[done:start]])
        original = text[start:end]
        yield _Text(original, list(_split(html.unescape(original), options)), is_html=True)
        done = end
    yield _Text("", [text[done:]])


def _split_line(line: str, options: DocumentOptions) -> Iterator[str | _Segment]:
    """Split a line of text into segments and what is between them."""
    if not options.splits:
        yield from _split(line, options)
        return
    start = _LINE_START.match(line)
    assert start is not None, "it may be empty"
    yield start[0]
    for cell in _CELL_END.split(line[start.end() :]):
        yield from _split(cell, options)


def _split(text: str, options: DocumentOptions) -> Iterator[str | _Segment]:
    """Split a cell of a line, or a text of HTML, into segments and what is between them."""
    sentences = split_sentences(text, options.language) if options.splits else [text]
    for number, sentence in enumerate(sentences, start=1):
        parts = split_links(sentence) if options.protects else [(sentence, False)]
        part: str | _Segment = ""
        for part in _segments(parts):
            yield part
        if isinstance(part, _Segment):
            part.touches_next = number < len(sentences)


def _segments(parts: Sequence[tuple[str, bool]]) -> Iterator[str | _Segment]:
    """Yield parts as segments, without the blanks around them; keep those without a letter.

    Punctuation between a segment and a link or number is kept, so that the two stay separate, and
    so is a bracket before a segment that is closed after it.
    """
    for number, (part, is_kept) in enumerate(parts):
        if is_kept or not any(map(str.isalpha, part)):
            yield part
            continue
        start, end = 0, len(part)
        is_last = number == len(parts) - 1
        unclosed = [] if is_last else [left for left, right in _BRACKETS if right not in part]
        while part[start].isspace() or (
            is_punctuation(part[start]) if number > 0 else part[start] in unclosed
        ):
            start += 1
        while part[end - 1].isspace() or (not is_last and is_punctuation(part[end - 1])):
            end -= 1
        if start:
            yield part[:start]
        yield _Segment(part[start:end], _LINE_BREAK.sub(" ", part[start:end]))
        if end < len(part):
            yield part[end:]


def _write(parts: Sequence[str | _Segment]) -> str:
    """Join parts; a link or number that touched a script without spaces may need a blank."""
    written: list[str] = []
    for part, following in pairwise([*parts, ""]):
        if isinstance(part, str):
            written.append(part)
            continue
        text = part.write()
        if written and written[-1][-1:].isalnum() and _needs_blank(part.source[0], text[:1]):
            text = f" {text}"
        if isinstance(following, str) and following[:1].isalnum():
            text += " " if _needs_blank(part.source[-1], text[-1:]) else ""
        written.append(text)
    return "".join(written)


def _needs_blank(source: str, written: str) -> bool:
    """Return whether a letter with two cases stands in place of one without."""
    return source.lower() == source.upper() and written.lower() != written.upper()
