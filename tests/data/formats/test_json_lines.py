"""JSON lines: what each bad line is refused with."""

import gzip
import json
import logging
import pickle
from pathlib import Path

import pytest

from nmt.core.errors import DataError
from nmt.data.formats.json_lines import JsonLinesCorpus


def read(tmp_path: Path, content: str | bytes, **options: str) -> list[tuple[str, str]]:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(JsonLinesCorpus(jsonl=path, **options).read_pairs())


def test_pairs_are_the_texts_at_two_keys(tmp_path: Path) -> None:
    content = '{"source": "a b", "target": "x", "id": 7}\r\n{"target": "", "source": "\\u00e4"}\n'
    assert read(tmp_path, content) == [("a b", "x"), ("ä", "")]
    assert read(tmp_path, '{"en": "a", "de": "b"}', source_key="de", target_key="en") == [
        ("b", "a")
    ]


def test_dots_separate_nested_keys(tmp_path: Path) -> None:
    line = '{"translation": {"en": {"text": "a"}, "de": "b"}, "translation.de": "c"}'
    keys = {"source_key": "translation.en.text", "target_key": "translation.de"}
    assert read(tmp_path, line, **keys) == [("a", "c")], "a key with a dot comes first"


def test_line_feeds_within_a_text_become_spaces(tmp_path: Path) -> None:
    line = json.dumps({"source": "a\nb\r\nc\rd\u2028e", "target": "x"})
    assert read(tmp_path, line) == [("a b c\rd\u2028e", "x")]


def test_the_file_may_be_compressed(tmp_path: Path) -> None:
    assert read(tmp_path, gzip.compress(b'{"source": "a", "target": "b"}\n')) == [("a", "b")]


GOOD = '{"source": "a", "target": "b", "deep": {"en": "c"}}\n'
OBJECT = "write one object per line"
LINE = "correct the line"
KEYS = f"{LINE}, or set source_key and target_key"


@pytest.mark.parametrize(
    ("line", "source_key", "message"),
    [
        ("source", "source", f"not JSON (Expecting value); {OBJECT}"),
        ("", "source", f"not JSON (Expecting value); {OBJECT}"),
        ('{"source": "a"', "source", f"not JSON (Expecting ',' delimiter); {OBJECT}"),
        ('{"a": 1, "a": 2}', "source", f"not JSON (a key occurs twice); {OBJECT}"),
        ("[" * 100_000, "source", f"not JSON (nested too deeply); {OBJECT}"),
        ('["a", "b"]', "source", f"not a JSON object; {OBJECT}"),
        ('{"target": "b"}', "source", f"source: no key 'source'; {KEYS}"),
        ('{"deep": {"de": "b"}}', "deep.en", f"deep.en: no key 'en'; {KEYS}"),
        ('{"deep": "b"}', "deep.en", f"deep.en: no key 'en'; {KEYS}"),
        ('{"deep": {"en": null}}', "deep.en", f"deep.en: must be a string; {LINE}"),
        ('{"deep": {"en": 3}}', "deep.en", f"deep.en: must be a string; {LINE}"),
        ('{"source": "a\\ud800"}', "source", f"source: character '\\ud800' is not allowed; {LINE}"),
        ('{"source": "a\\u0000"}', "source", f"source: character '\\x00' is not allowed; {LINE}"),
    ],
)
def test_a_bad_line_is_named(line: str, source_key: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, f"{GOOD}{line}\n{GOOD}", source_key=source_key)
    assert str(caught.value) == f"{tmp_path / 'a.jsonl'}, line 2: {message}"


def test_a_target_is_checked_like_a_source(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl, line 1: target: no key 'target'; correct"):
        read(tmp_path, '{"source": "a"}')


def test_a_line_over_the_limit_is_a_blank_pair(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"source": "{"a" * 60}", "target": "b"}}\n{GOOD}')
    corpus = JsonLinesCorpus(max_line_bytes=60, jsonl=path)
    with caplog.at_level(logging.WARNING):
        assert list(corpus.read_pairs()) == [("", ""), ("a", "b")]
    assert "line 1: longer than 60 bytes" in caplog.text


def test_keys_are_settings_of_the_corpus_and_it_can_be_sent_to_another_process() -> None:
    corpus = JsonLinesCorpus(jsonl=Path("a"), source_key="de")
    assert corpus.settings == {"source_key": "de", "target_key": "target"}
    assert corpus.paths == (Path("a"),)
    assert pickle.loads(pickle.dumps(corpus)) == corpus
