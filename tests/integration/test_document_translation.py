"""`nmt translate --document`, with a run and with an exported file."""

import gzip
import re
from pathlib import Path

import pytest

from nmt.inference.documents import DocumentOptions, DocumentResult
from nmt.text.protected import find_numbers, split_links
from tests.integration.conftest import Command

SENTENCES = ["one two three .", "Nine .", "four four zero ."]
# Texts with something that must come out as it went in; digits are unknown to the model.
KEPT = [
    "https://example.org/one?two=3&four#five",
    "http://example.org/one_(two)",
    "www.example.org",
    "one.two+3@example.org",
    "1990",
    "3.5",
    "1,000,000",
    "12:30",
    "30/11/2026",
    "7",
]
FRAMES = ["{} one two .", "three {} four .", "one ({}) two {} .", "one two\n  three {}, four .\n\n"]
TEXTS = [frame.replace("{}", kept) for frame in FRAMES for kept in KEPT]


@pytest.fixture(params=["run", "exported"])
def model(request: pytest.FixtureRequest, in_trained: Path) -> str:
    if request.param == "run":
        return "runs/tiny"
    return str(request.getfixturevalue("exported"))


def translate(nmt: Command, model: str, *files: object, stdin: str = "") -> str:
    outcome = nmt("translate", model, *files, "--document", stdin=stdin.encode())
    assert outcome.code == 0, outcome.err
    return outcome.out


def test_links_addresses_and_numbers_come_out_as_they_went_in(nmt: Command, model: str) -> None:
    assert len(TEXTS) == 40
    text = "\n=\n".join(TEXTS)
    for source, found in zip(TEXTS, translate(nmt, model, stdin=text).split("\n=\n"), strict=True):
        assert sorted(find_numbers(found)) == sorted(find_numbers(source))
        links = [part for part, is_link in split_links(source) if is_link]
        assert [part for part, is_link in split_links(found) if is_link] == links
        assert found.count("\n") == source.count("\n")
        assert re.findall("(?m)^ +", found) == re.findall("(?m)^ +", source)


def test_sentences_are_translated_as_lines_are(nmt: Command, model: str, tmp_path: Path) -> None:
    lines = "".join(f"{sentence}\n" for sentence in SENTENCES)
    translations = nmt("translate", model, stdin=lines.encode()).lines
    document = tmp_path / "document.txt.gz"
    document.write_bytes(gzip.compress(f"\r\n  {SENTENCES[0]} {SENTENCES[1]}\n".encode()))
    other = tmp_path / "other.HTML"
    other.write_text(f"<p>{SENTENCES[2]}<code>one</code></p>")
    assert translate(nmt, model, document, other) == (
        f"\r\n  {translations[0]} {translations[1]}\n<p>{translations[2]}<code>one</code></p>"
    )


def test_stdin_is_html_if_it_starts_as_a_page_does(nmt: Command, in_trained: Path) -> None:
    page = "\n<!doctype HTML><title>one .</title>"
    found = translate(nmt, "runs/tiny", stdin=page)
    assert re.fullmatch(r"\n<!doctype HTML><title>\w+ \.</title>", found)
    assert "<b>" not in translate(nmt, "runs/tiny", stdin="<b>one</b>\n")


def test_lines_are_not_split_and_links_not_kept_on_request(nmt: Command, in_trained: Path) -> None:
    text = "one . Two . www.example.org ."
    kept = nmt("translate", "runs/tiny", "--document", "--no-split", stdin=text.encode())
    assert "www.example.org" in kept.out
    changed = nmt("translate", "runs/tiny", "--document", "--no-protect", stdin=text.encode())
    assert changed.code == 0
    assert "www.example.org" not in changed.out


def test_sentences_are_split_by_the_rules_of_the_language(nmt: Command, model: str) -> None:
    options: list[DocumentOptions] = []

    def look(text: str, given: DocumentOptions, translate: object) -> DocumentResult:
        options.append(given)
        return DocumentResult(text, [])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nmt.inference.documents.run_document", look)
        assert translate(nmt, model, stdin="one .") == "one ."
    assert [given.language for given in options] == ["en"]


def test_workers_translate_documents(nmt: Command, in_trained: Path) -> None:
    text = " ".join(SENTENCES)
    found = nmt("translate", "runs/tiny", "--document", "--workers", 2, stdin=text.encode())
    assert found.out == translate(nmt, "runs/tiny", stdin=text)


def test_warnings_name_the_sentences_of_all_documents(
    nmt: Command, model: str, tmp_path: Path
) -> None:
    names = [tmp_path / "a.txt", tmp_path / "b.html"]
    names[0].write_text("one . Two .\n\nthree 1990 xx .\n")
    names[1].write_text("<p>one . <b>yy</b></p>")
    outcome = nmt("translate", model, "--document", *names)
    assert [line for line in outcome.err.splitlines() if "unknown" in line] == [
        "nmt: warning: sentence 2: 1 of 2 tokens is unknown to the model",
        "nmt: warning: sentence 3: 2 of 4 tokens are unknown to the model",
        "nmt: warning: sentence 5: 1 of 1 tokens is unknown to the model",
    ]


def test_invalid_utf8_is_replaced_with_a_warning(nmt: Command, in_trained: Path) -> None:
    outcome = nmt("translate", "runs/tiny", "--document", stdin=b"\xef\xbb\xbfone .\n* \xff\n")
    assert outcome.code == 0
    assert outcome.out.endswith("\n* \N{REPLACEMENT CHARACTER}\n")
    assert "stdin, byte 11: 0xff is not UTF-8; read as U+FFFD" in outcome.err


@pytest.mark.parametrize(
    "extra",
    [
        *("--scores", "--json", "--attention", "--resume", "--line-buffered", "--n-best 2"),
        *("--prefixes f", "--constraints f", "--alignments f", "--html f"),
    ],
)
def test_outputs_by_line_are_refused(nmt: Command, model: str, extra: str) -> None:
    words = extra.split()
    nmt("translate", model, "--document", *words).assert_refused(
        f"{words[0]}: cannot be combined with --document; leave one of them out"
    )


@pytest.mark.parametrize("flag", ["--no-split", "--no-protect"])
def test_options_of_documents_need_one(nmt: Command, in_trained: Path, flag: str) -> None:
    nmt("translate", "runs/tiny", flag).assert_refused(
        f"{flag}: has no effect without --document; add it, or leave this out"
    )


def test_a_large_document_is_refused(
    nmt: Command, in_trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.cli.documents._MOST_BYTES", 2**20)
    for text in (b"a" * (2**20 + 1), b"a\n" * (2**19 + 1)):
        nmt("translate", "runs/tiny", "--document", stdin=text).assert_refused(
            "stdin: larger than 1 MiB, the limit of a document; split it, or leave --document out"
        )


def test_torchrun_is_refused(
    nmt: Command, in_trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.cli.documents.is_distributed", lambda: True)
    nmt("translate", "runs/tiny", "--document").assert_refused(
        "torchrun: not supported with --document; use --workers N"
    )
