from collections import Counter
from collections.abc import Sequence
from time import process_time

import pytest
from hypothesis import given, strategies as st

from nmt.inference.documents import (
    DocumentFormat,
    DocumentOptions,
    DocumentResult,
    run_document,
)
from nmt.inference.inputs import Input
from nmt.inference.translation import Translation
from nmt.search.hypothesis import Hypothesis
from nmt.text.html_text import find_texts
from nmt.text.protected import find_numbers, split_links

HTML = DocumentOptions("html")
TEXT = DocumentOptions("text")


def translation(text: str) -> Translation:
    return Translation((text,), (Hypothesis((), 0.0, 0.0),))


class Recorder:
    """Translate with a function, and keep the lines of each round."""

    def __init__(self, translate: "dict[str, str] | None" = None) -> None:
        self.translate = translate
        self.rounds: list[list[str]] = []
        self.phrases: list[tuple[str, ...]] = []

    def __call__(self, lines: list[Input]) -> Sequence[Translation]:
        self.rounds.append([str(line.source) for line in lines])
        self.phrases += [line.phrases for line in lines if line.phrases]
        return [translation(self.write(line)) for line in lines]

    def write(self, line: Input) -> str:
        source = str(line.source)
        return source.upper() if self.translate is None else self.translate.get(source, source)


def run(text: str, options: DocumentOptions = TEXT) -> str:
    return run_document(text, options, Recorder()).text


def same(lines: list[Input]) -> list[Translation]:
    return [translation(str(line.source)) for line in lines]


TEXTS = st.text("aB1.?! 。」\n\r\t\u2028<>&;\"'@:/|-*([1)]", max_size=60) | st.text()
MARKUP = st.lists(
    st.sampled_from(
        [
            *(
                "<p>",
                "</p>",
                "<b>",
                "<code>",
                "</code>",
                "<!-- ",
                " -->",
                "<br/>",
                "<p translate=no",
            ),
            *(
                "Tom runs. ",
                "a.\n B",
                "&amp;",
                "&lt;b&gt;",
                "&nbsp;",
                "&#0;",
                "&#1;",
                "&x",
                "http://x.org/?a&amp;b",
            ),
            *(
                "3.5",
                " ",
                "\n",
                "<",
                ">",
                "&",
                "。",
                "“a”",
                "<script>",
                "</script>",
                "\0",
                "\ud800",
            ),
        ]
    )
).map("".join)


KEPT = [
    *(
        "https://x.org/a_(b)",
        "o'tom@x.org",
        "www.x.org",
        "-3.5",
        "3",
        "1 000",
        "2026-11-30",
        "10km",
    ),
    *("see ", "他有", "년", "one. ", "Two ", " (", ") ", ", ", "\n", "| ", "- ", "“", "” "),
]


@given(TEXTS, st.booleans(), st.booleans())
def test_text_is_unchanged_by_a_translation_that_changes_nothing(
    text: str, splits: bool, protects: bool
) -> None:
    options = DocumentOptions("text", None, splits, protects)
    assert run_document(text, options, same).text == text


@given(MARKUP | TEXTS, st.booleans(), st.booleans())
def test_html_is_unchanged_by_a_translation_that_changes_nothing(
    text: str, splits: bool, protects: bool
) -> None:
    options = DocumentOptions("html", None, splits, protects)
    assert run_document(text, options, same).text == text


def hostile(lines: list[Input]) -> list[Translation]:
    return [translation(f"<b>{line.source}&amp;</code> -->") for line in lines]


def skeleton(html: str) -> str:
    """Return a page without its texts."""
    ends, starts = [0], []
    for start, end in find_texts(html):
        starts.append(start)
        ends.append(end)
    return "".join(html[end:start] for end, start in zip(ends, [*starts, len(html)], strict=True))


@given(MARKUP | TEXTS, st.booleans())
def test_markup_is_unchanged_by_any_translation(html: str, protects: bool) -> None:
    found = run_document(html, DocumentOptions("html", protects=protects), hostile).text
    assert skeleton(found) == skeleton(html)


@given(st.lists(st.sampled_from(KEPT)).map("".join), st.sampled_from(["text", "html"]))
def test_links_and_numbers_come_out_as_they_went_in(text: str, form: DocumentFormat) -> None:
    found = run_document(
        text, DocumentOptions(form), lambda lines: [translation("Wort")] * len(lines)
    )
    assert links_of(found.text) == links_of(text)
    assert not Counter(find_numbers(text)) - Counter(find_numbers(found.text))


def links_of(text: str) -> list[str]:
    return [part for part, is_link in split_links(text) if is_link]


@given(TEXTS | MARKUP, st.sampled_from([HTML, TEXT]))
def test_lines_to_translate_are_lines_with_letters(text: str, options: DocumentOptions) -> None:
    recorder = Recorder()
    run_document(text, options, recorder)
    for line in (line for lines in recorder.rounds for line in lines):
        assert len(line.splitlines()) == 1
        assert line == line.strip()
        assert any(map(str.isalpha, line))


def test_lines_indents_and_blank_lines_are_kept() -> None:
    text = "  tom runs. jerry hides.\r\n\n\t- a\u2028b\n\n***\n 12\n"
    assert run(text) == "  TOM RUNS. JERRY HIDES.\r\n\n\t- A\u2028B\n\n***\n 12\n"


def test_a_document_without_text_is_not_translated() -> None:
    for text in ("", " \n", "***", "1990"):
        recorder = Recorder()
        assert run_document(text, TEXT, recorder) == DocumentResult(text, [])
        assert recorder.rounds == []


def test_sentences_are_translated_separately_unless_they_are_not_split() -> None:
    for splits, lines in ((True, ["Tom runs.", "He hides."]), (False, ["Tom runs.  He hides."])):
        recorder = Recorder()
        run_document("Tom runs.  He hides.", DocumentOptions(splits=splits), recorder)
        assert recorder.rounds == [lines]


def test_the_language_selects_abbreviations() -> None:
    for language, number in (("de", 1), ("en", 2)):
        recorder = Recorder()
        run_document("Am 3. Oktober.", DocumentOptions(language=language), recorder)
        assert len(recorder.rounds[0]) == number


def test_a_blank_separates_sentences_that_touched() -> None:
    translate = Recorder({"他来了。": "He came.", "她走了。": "She left."})
    assert run_document("他来了。她走了。\n", TEXT, translate).text == "He came. She left.\n"
    assert run_document("他来了。好。", TEXT, Recorder({"他来了。": "来。"})).text == "来。好。"


def test_a_blank_separates_links_and_numbers_from_words() -> None:
    translate = Recorder(
        {"请看": "see", "吧": "now", "他有3个": "none", "他有": "he has", "个": "of them"}
        | {
            "in 3 cm": "三厘米",
            "see": "请看",
            "in": "在",
            "cm": "厘米",
            "10km": "km",
            "km": "miles",
        }
    )
    text = "请看https://x.org吧\n他有3个\nsee https://x.org\nin 3 cm\n10km"
    assert run_document(text, TEXT, translate).text == (
        "see https://x.org now\nhe has 3 of them\n请看 https://x.org\n在 3 厘米\n10miles"
    )


def test_links_and_addresses_are_never_sent() -> None:
    text = "see https://x.org/a_b and tom@x.org, or www.x.org."
    recorder = Recorder()
    assert run_document(text, TEXT, recorder).text == (
        "SEE https://x.org/a_b AND tom@x.org, OR www.x.org."
    )
    assert recorder.rounds == [["see", "and", "or"]]


@pytest.mark.parametrize("known", [{"1990", "3"}, {"1990"}, None])
def test_a_missing_number_is_required_and_then_kept_by_splitting(known: set[str] | None) -> None:
    source = "in 1990 tom had 3 cats"
    recorder = Recorder({source: "nichts", "in": "IN", "tom had": "TOM HAD", "cats": "CATS"})
    options = DocumentOptions(requirable=None if known is None else known.__contains__)
    assert run_document(source, options, recorder).text == "IN 1990 TOM HAD 3 CATS"
    assert recorder.rounds[-1] == ["in", "tom had", "cats"]
    is_required = known == {"1990", "3"}
    assert len(recorder.rounds) == 2 + is_required
    assert recorder.phrases == [("1990", "3")] * is_required


def test_punctuation_between_a_text_and_a_link_is_kept() -> None:
    recorder = Recorder({"a": "b", "c": "d", "e.": "f"})
    assert run_document("a (www.x.org) c [www.x.org], e.", TEXT, recorder).text == (
        "b (www.x.org) d [www.x.org], f"
    )


def test_an_open_bracket_before_a_link_is_kept() -> None:
    recorder = Recorder()
    text = "(see www.x.org) ([text](www.x.org)), (a) www.x.org\n(a) b www.x.org"
    assert run_document(text, TEXT, recorder).text == text.upper().replace("WWW.X.ORG", "www.x.org")
    assert recorder.rounds == [["see", "text", "a", "(a) b"]]
    recorder = Recorder()
    run_document("(no link", TEXT, recorder)
    assert recorder.rounds == [["(no link"]]


# Lines of text, with what is not translated replaced by what is.
LINES = {
    "# A heading": ["A heading"],
    "  - an item. Another.": ["an item.", "Another."],
    "> > * quoted": ["quoted"],
    "- [x] done": ["done"],
    "2) second": ["second"],
    "— Bonjour": ["Bonjour"],
    "-5 degrees": ["-5 degrees"],
    "name\tage\t12\tcity of birth": ["name", "age", "city of birth"],
    "| a b | **c** |": ["a b", "**c**"],
    "a|b": ["a", "b"],
}


@pytest.mark.parametrize("line", LINES)
def test_marks_of_lines_and_tables_are_kept(line: str) -> None:
    recorder = Recorder()
    assert run_document(line, TEXT, recorder).text == line.upper().replace("[X]", "[x]")
    assert recorder.rounds == [LINES[line]]
    whole = Recorder()
    run_document(line, DocumentOptions(splits=False), whole)
    assert whole.rounds == [[line.strip()]]


@pytest.mark.parametrize("unit", [" ", "(", "\t", "- ", "* [", "|", "\n", "> 1) ", "&#32;"])
def test_time_is_linear(unit: str) -> None:
    start = process_time()
    for options in (TEXT, HTML):
        text = f"a{unit * 20_000}b www.x.org"
        assert run_document(text, options, same).text == text
        assert run_document(text[1:], options, same).text == text[1:]
    assert process_time() - start < 3


def test_a_required_number_is_enough() -> None:
    class WithPhrases(Recorder):
        def write(self, line: Input) -> str:
            return " ".join(("JAHR", *line.phrases))

    recorder = WithPhrases()
    result = run_document("year 1990\ncat", DocumentOptions(requirable=str.isdecimal), recorder)
    assert result.text == "JAHR 1990\nJAHR"
    assert recorder.rounds == [["year 1990", "cat"], ["year 1990"]]
    assert [source for source, _ in result.segments] == ["year 1990", "cat"]


def test_numbers_may_change_without_protection() -> None:
    recorder = Recorder({"a 1 https://x.org": "b"})
    assert run_document("a 1 https://x.org", DocumentOptions(protects=False), recorder).text == "b"


def test_html_keeps_tags_attributes_code_and_notranslate() -> None:
    text = (
        "<!DOCTYPE html>\n<p class='a' title=\"tom\">Tom <b>runs</b>.<br/>\n He\n  hides.</p>"
        "<code>let x</code><p translate=no>no</p><!-- c --><script>var a='<p>b'</script>"
    )
    assert run(text, HTML) == text.replace("Tom ", "TOM ").replace("runs", "RUNS").replace(
        "He\n  hides", "HE HIDES"
    )


def test_html_text_is_unescaped_translated_and_escaped() -> None:
    assert run("a &amp; b &lt;i&gt; &quot;c&quot;", HTML) == 'A &amp; B &lt;I&gt; "C"'
    translate = Recorder({"tom": "<script>alert(1)</script>"})
    assert run_document("<p>tom</p>", HTML, translate).text == (
        "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"
    )
    assert run("TOM &quot;&nbsp;&#65;", HTML) == "TOM &quot;&nbsp;&#65;"  # unchanged: as written


def test_segments_are_those_of_the_result() -> None:
    result = run_document("tom runs. see https://x.org now", TEXT, Recorder())
    assert [(source, found.text) for source, found in result.segments] == [
        ("tom runs. see", "TOM RUNS. SEE"),
        ("now", "NOW"),
    ]


@pytest.mark.parametrize(
    "hostile", ["<script>", "{{7*7}}", "\x1b[31m", "e\u0301", "\0", "' OR 1=1"]
)
def test_hostile_text_is_text(hostile: str) -> None:
    assert run_document(f"a {hostile}", TEXT, same).text == f"a {hostile}"
