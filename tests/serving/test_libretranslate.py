"""Clients of LibreTranslate work as they are: its paths, fields, answers and messages."""

import re
from typing import Any

import pytest

from nmt.serving import libretranslate
from nmt.serving.libretranslate import TranslatedFiles
from nmt.serving.models import ModelRegistry

LINE = "the cat sees a dog"
BODY = {"q": LINE, "source": "en", "target": "de"}


def expected(models: Any, line: str, name: str = "first") -> str:
    return models.models[name].translator.translate([line])[0].text


def test_json_and_forms_have_the_same_answer(server: Any, models: Any) -> None:
    answer = server.post("/translate", **BODY)
    assert answer.status == 200
    assert answer.json == {"translatedText": expected(models, LINE)}
    assert server.post_form("/translate", BODY).json == answer.json
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = "".join(part.format(*field) for field in BODY.items()) + "--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert server.send("POST", "/translate", body.encode(), kind).json == answer.json


def test_lists_are_answered_with_lists(server: Any, models: Any) -> None:
    texts = [LINE, "a small house", "here"]
    answer = server.post("/translate", **{**BODY, "q": texts})
    assert answer.json == {"translatedText": [expected(models, text) for text in texts]}
    fields = [("q", text) for text in texts] + [("source", "en"), ("target", "de")]
    assert server.post_form("/translate", fields).json == answer.json


def test_target_chooses_the_model(server: Any, models: Any) -> None:
    answer = server.post("/translate", **{**BODY, "target": "fr"})
    assert answer.json["translatedText"] == expected(models, LINE, "second")
    assert server.post("/translate", **{**BODY, "source": "en-GB"}).status == 200


def test_lines_and_indents_are_kept(server: Any, models: Any) -> None:
    text = f"\n  {LINE}  \n\n\t{LINE}"
    there = expected(models, LINE)
    answer = server.post("/translate", **{**BODY, "q": text})
    assert answer.json["translatedText"] == f"\n  {there}  \n\n\t{there}"


def test_html_keeps_its_tags(server: Any, models: Any) -> None:
    text = f'<p class="a&amp;b">{LINE}<br/><code>the cat</code></p><script>"</p>"</script>'
    answer = server.post("/translate", **{**BODY, "q": text, "format": "html"})
    assert answer.json["translatedText"] == text.replace(LINE, expected(models, LINE))


def test_alternatives_differ(server: Any, models: Any) -> None:
    answer = server.post("/translate", **BODY, alternatives=2).json
    found = models.first.translator.translate([LINE])
    assert answer["translatedText"] == found[0].text
    assert 1 <= len(answer["alternatives"]) <= 2
    assert answer["translatedText"] not in answer["alternatives"]
    of_list = server.post("/translate", **{**BODY, "q": [LINE]}, alternatives=2).json
    assert of_list["alternatives"] == [answer["alternatives"]]
    of_html = server.post("/translate", **BODY, alternatives=2, format="html").json
    assert of_html["alternatives"] == []


def test_auto_is_the_only_language(server: Any) -> None:
    answer = server.post("/translate", **{**BODY, "source": "auto"}).json
    assert answer["detectedLanguage"] == {"confidence": 100.0, "language": "en"}
    assert server.post("/detect", q=LINE).json == [{"confidence": 100.0, "language": "en"}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": None}, "Invalid request: missing q parameter"),
        ({"q": ""}, "Invalid request: missing q parameter"),
        ({"q": []}, "Invalid request: missing q parameter"),
        ({"source": None}, "Invalid request: missing source parameter"),
        ({"target": ""}, "Invalid request: missing target parameter"),
        ({"source": "xx"}, "xx is not supported"),
        ({"source": "de"}, "de is not supported"),
        ({"target": "tlh"}, "tlh is not supported"),
        ({"format": "pdf"}, "pdf format is not supported"),
        ({"q": "a" * 20_001}, "Invalid request: request (20001) exceeds text limit (20000)"),
        ({"q": "a\n" * 1_001}, "Invalid request: request (1001) exceeds text limit (1000)"),
        ({"q": "a\r" * 1_001}, "Invalid request: request (1001) exceeds text limit (1000)"),
        (
            {"alternatives": "many"},
            "alternatives: input should be a valid integer, unable to parse",
        ),
        (
            {"q": {"a": 1}},
            "q.str: input should be a valid string; /openapi.json describes the body",
        ),
    ],
)
def test_errors_are_those_of_libretranslate(
    server: Any, change: dict[str, Any], message: str
) -> None:
    answer = server.post("/translate", **{**BODY, **change})
    assert answer.status == 400
    assert answer.error.startswith(message)


def test_a_direction_that_is_not_served_is_named(serve: Any, new_model: Any) -> None:
    registry = ModelRegistry([new_model("a", ("en", "de")), new_model("b", ("de", "fr"))])
    answer = serve(registry).post("/translate", q="x", source="en", target="fr")
    assert answer.status == 400
    assert answer.error == "French (fr) is not available as a target language from English (en)"


def test_languages_settings_and_health(server: Any) -> None:
    assert server.get("/languages").json == [
        {"code": "en", "name": "English", "targets": ["de", "fr"]},
        {"code": "de", "name": "German", "targets": []},
        {"code": "fr", "name": "French", "targets": []},
    ]
    assert server.get("/health").json == {"status": "ok"}
    settings = server.get("/frontend/settings").json
    assert settings["charLimit"] == 20_000
    assert settings["language"]["target"] == {"code": "de", "name": "German"}
    assert settings["keyRequired"] is False


def test_its_python_client(server: Any, models: Any) -> None:
    client = pytest.importorskip("libretranslatepy").LibreTranslateAPI(server.url)
    assert client.translate(LINE, "en", "de") == expected(models, LINE)
    assert [language["code"] for language in client.languages()] == ["en", "de", "fr"]
    assert client.detect(LINE) == [{"confidence": 100.0, "language": "en"}]


def send_file(server: Any, name: str, content: bytes) -> Any:
    part = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    body = part % (b"source", b"en") + part % (b"target", b"de")
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body += head.encode() + content + b"\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    return server.send("POST", "/translate_file", body, kind)


def test_files_are_translated(server: Any, models: Any) -> None:
    answer = send_file(server, "my text.TXT", f"{LINE}\n".encode())
    assert answer.status == 200, answer.body
    url = answer.json["translatedFileUrl"]
    found = re.fullmatch(
        re.escape(server.url) + r"(download_file/[0-9a-f-]{36}\.my_text\.TXT)", url
    )
    assert found, url
    file = server.get(f"/{found[1]}")
    assert file.body.decode() == expected(models, LINE) + "\n"
    assert file.headers["content-disposition"] == 'attachment; filename="my_text.TXT"'
    assert server.get("/download_file/other.txt").status == 404


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pdf", b"x", "Invalid request: file format not supported; send .txt or .html"),
        ("a.txt", b"\xff", "file: not UTF-8; convert it"),
        ("", b"x", "Invalid request: missing file parameter"),
    ],
)
def test_files_that_cannot_be_read(server: Any, name: str, content: bytes, message: str) -> None:
    answer = send_file(server, name, content)
    assert (answer.status, answer.error) == (400, message)


def test_a_translated_file_is_kept_for_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(libretranslate.time, "monotonic", lambda: now)
    files = TranslatedFiles()
    key = files.add("a/b.txt", b"text")
    now += 599.0
    assert files.find(key) == b"text"
    now += 1.0
    assert files.find(key) is None


def test_the_last_sixteen_translated_files_are_kept() -> None:
    files = TranslatedFiles()
    keys = [files.add("a.txt", bytes([number])) for number in range(17)]
    assert [files.find(key) for key in keys] == [None, *(bytes([one]) for one in range(1, 17))]
