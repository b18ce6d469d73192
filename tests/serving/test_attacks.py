"""Requests that are made to stop, slow or deceive a server, with the exact answers."""

import http.client
import json
import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from nmt.serving.libretranslate import TranslatedFiles
from nmt.serving.models import ModelRegistry

LINE = "the cat sees a dog"
JSON = {"Content-Type": "application/json"}
BODY = {"q": LINE, "source": "en", "target": "de"}
TEXT = b'Content-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
FILE = b'Content-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n'
DIRECTION = [TEXT % (b"source", b"en"), TEXT % (b"target", b"de")]
NO_HTTP = b"HTTP/1.1 400 Bad Request\r\n"


def send_parts(
    server: Any, path: str, parts: list[bytes], kind: str = "multipart/form-data"
) -> Any:
    body = b"".join(b"--x\r\n" + part for part in parts) + b"--x--\r\n"
    return server.send("POST", path, body, {"Content-Type": f"{kind}; boundary=x"})


def exchange(server: Any, *parts: bytes) -> bytes:
    """Return everything that a server answers until it closes the connection."""
    with server.connect() as client:
        for part in parts:
            client.sendall(part)
        with client.makefile("rb") as read:
            return bytes(read.read())


def receive(client: Any) -> tuple[int, bytes]:
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer.status, answer.read()


def request(body: bytes, *headers: str, path: str = "/translate") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def test_a_body_that_is_too_large_is_answered_to_a_client_that_sends_all_of_it(server: Any) -> None:
    answer = server.send("POST", "/translate", b"a" * (4 << 20), JSON)
    assert (answer.status, answer.headers["connection"]) == (413, "close")
    assert answer.error == "body: larger than 1,048,576 bytes; send it in several requests"


def test_many_slow_bodies_have_a_limit_together(serve: Any) -> None:
    server = serve(max_waiting=1, max_bytes=1_000)
    begun = b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + b"a" * 700
    with server.connect() as first, server.connect() as second:
        first.sendall(begun)
        time.sleep(0.2)
        second.sendall(begun)
        refused = receive(second)
    assert refused == (503, b'{"error":"server: too many bodies arrive; try later"}')
    for _ in range(100):  # the bytes of the clients that have left do not count
        if (answer := server.post("/translate", **BODY)).status == 200:
            break
        time.sleep(0.02)
    assert answer.status == 200


@pytest.mark.parametrize("charset", ["unicode_escape", "punycode", "undefined", "utf-16", "hex"])
@pytest.mark.parametrize("path", ["/translate", "/translate_file"])
def test_forms_are_in_utf_8(server: Any, path: str, charset: str) -> None:
    parts = [*DIRECTION, TEXT % (b"q", rb"\ud800"), FILE % (b"file", b"a.txt", b"x")]
    answer = send_parts(server, path, parts, f"multipart/form-data; charset={charset}")
    assert answer.status == 400
    assert answer.error == "body: its charset is not UTF-8; send UTF-8"
    assert send_parts(server, path, parts, "multipart/form-data; charset=UTF-8").status == 200


def test_a_form_may_have_as_many_texts_as_lines(server: Any) -> None:
    fields = [("q", "1")] * 1_000 + [("source", "en"), ("target", "de")]
    assert len(server.post_form("/translate", fields).json["translatedText"]) == 1_000
    many = [("a", "")] * 10_001
    message = "body: not a valid form (Too many fields. Maximum number of fields is 10000); send"
    assert server.post_form("/translate", many).error.startswith(message)
    assert send_parts(server, "/translate", [TEXT % (b"a", b"")] * 10_001).error.startswith(message)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([*DIRECTION, FILE % (b"q", b"a", b"x")], "Invalid request: missing q parameter"),
        (
            [*DIRECTION, DIRECTION[0], TEXT % (b"q", b"x")],
            "source: input should be a valid string; /openapi.json describes the body",
        ),
    ],
)
def test_fields_of_another_kind_or_given_twice(
    server: Any, parts: list[bytes], message: str
) -> None:
    answer = send_parts(server, "/translate", parts)
    assert (answer.status, answer.error) == (400, message)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00" + bytes(100),  # TLS
        b"GET /a\nINJECT HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",  # without a host
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 2_000_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 400_000 + b"\r\n",
        request(b"{}", "Content-Length: 5"),
        request(b"{}", "Content-Length: -1"),
        request(b"{}", "Transfer-Encoding: gzip, chunked"),
    ],
)
def test_bytes_that_are_not_http(server: Any, data: bytes) -> None:
    with server.connect() as client:
        try:
            client.sendall(data)
            answer = receive(client)
        except ConnectionError:  # a flood of headers is not read to its end
            return
    assert answer == (400, b"Invalid HTTP request received.")


def test_a_length_that_is_too_short_makes_the_rest_another_request(server: Any) -> None:
    body = json.dumps(BODY).encode()
    head = b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
    _, first, second = exchange(server, head + body).split(NO_HTTP)
    assert b"body: invalid JSON: EOF while parsing" in first
    assert b"Invalid HTTP request received." in second


def test_pipelined_requests_are_answered_in_order(server: Any, models: Any) -> None:
    texts = ["the cat", "a dog", "old house"]
    bodies = [json.dumps(BODY | {"q": text}).encode() for text in texts]
    closing = [[], [], ["Connection: close"]]
    data = b"".join(request(body, *more) for body, more in zip(bodies, closing, strict=True))
    found = re.findall(rb'\{"translatedText":.*?\}', exchange(server, data))
    translated = models.first.translator.translate(texts)
    assert [json.loads(one)["translatedText"] for one in found] == [one.text for one in translated]


def test_chunks_are_a_body(server: Any) -> None:
    body = json.dumps(BODY).encode()
    head = b"POST /translate HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    chunks = b"Transfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%s\r\n0\r\nX: y\r\n\r\n"
    assert exchange(server, head + chunks % (len(body), body)).startswith(b"HTTP/1.1 200 ")


def test_head_is_get_without_a_body(server: Any) -> None:
    for path in ("/", "/health", "/languages", "/page.js"):
        head, get = server.send("HEAD", path), server.get(path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]
    assert server.send("HEAD", "/translate").status == 405


@pytest.mark.parametrize(
    "path",
    ["/languages/", "//evil.example", "/download_file/..%2f..%2fetc%2fpasswd", "/%ff", "/%00"],
)
def test_paths_lead_nowhere_else(server: Any, path: str) -> None:
    answer = server.get(path, Host="evil.example")
    assert answer.status == 404
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (b"../../etc/passwd.txt", ".._.._etc_passwd.txt"),
        (b"a%0d%0aSet-Cookie: x.txt", "a_0d_0aSet-Cookie_x.txt"),
        (b"a\xe2\x80\xae.txt", "a_.txt"),
        (b"a" * 500 + b".txt", "a" * 76 + ".txt"),
    ],
)
def test_names_of_files_are_harmless(server: Any, name: bytes, kept: str) -> None:
    parts = [*DIRECTION, FILE % (b"file", name, LINE.encode())]
    url = send_parts(server, "/translate_file", parts).json["translatedFileUrl"]
    answer = server.get(url.removeprefix(server.url.rstrip("/")))
    assert answer.headers["content-disposition"] == f'attachment; filename="{kept}"'
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_translated_files_are_few_and_do_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    files = TranslatedFiles()
    names = [files.add("a.txt", b"%d" % number) for number in range(17)]
    assert [files.find(name) for name in names] == [
        None,
        *(b"%d" % number for number in range(1, 17)),
    ]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 599)
    assert files.find(names[16]) == b"16"
    monkeypatch.setattr(time, "monotonic", lambda: now + 601)
    last = files.add("b.txt", b"new")
    assert list(files._files) == [last], "the texts are not kept until somebody asks for them"


def test_the_log_and_the_numbers_name_our_paths_only(
    server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nmt.serving")
    for number in range(20):
        server.get(f"/xylophone{number}%0d%0aPOST")
    server.send("XYLOPHONE" * 100, "/health")
    lines: list[str] = []
    for _ in range(100):  # a line is written after its answer
        lines = [record.getMessage() for record in caplog.records]
        if any(line.startswith("XYLOPHON /health 405 ") for line in lines):
            break
        time.sleep(0.02)
    else:
        raise AssertionError(lines)
    assert sum(line.startswith("GET other 404 ") for line in lines) == 20
    text = server.get("/metrics").body.decode()
    assert "xylophone" not in text.lower()
    assert 'nmt_requests_total{path="other",status="404"}' in text


def test_a_refused_request_is_counted_with_its_path(serve: Any) -> None:
    server = serve(max_bytes=10)
    assert server.post("/v1/translate", text=LINE).status == 413
    time.sleep(0.1)  # it is counted after its answer
    text = server.get("/metrics").body.decode()
    assert 'nmt_requests_total{path="/v1/translate",status="413"} 1.0' in text


def test_an_error_outside_of_a_computation_is_logged_without_texts(
    serve: Any, models: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            if name == "kind":
                raise ValueError("xylophone")
            return getattr(models.first, name)

    server = serve(ModelRegistry([Broken()]))  # type: ignore[list-item]
    answer = server.get("/v1/models")
    assert answer.status == 500
    assert answer.error == "server: internal error 1; its log has the details"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "internal error 1: ValueError at " in caplog.text
    assert "xylophone" not in caplog.text + capfd.readouterr().err


def test_a_client_that_does_not_read_its_answer_does_not_wait(serve: Any, models: Any) -> None:
    server = serve(max_waiting=1)
    body = json.dumps({"text": ["the cat sees a dog"] * 600, "views": True}).encode()
    with server.connect() as client:
        client.sendall(request(body, path="/v1/translate"))
        assert client.recv(20).startswith(b"HTTP/1.1 200")
        assert server.post("/translate", **BODY).status == 200


@pytest.mark.parametrize("text", ["a" + " " * 19_998 + "b", "<a" + " " * 19_990, "&" * 19_990])
def test_no_text_stops_the_server(server: Any, text: str) -> None:
    for kind in ("text", "html"):
        start = time.monotonic()
        assert server.post("/translate", **BODY | {"q": text, "format": kind}).status == 200
        assert time.monotonic() - start < 3.0


@pytest.mark.parametrize("separator", ["\n", "\r", "\x0b", "\x85", "\u2028"])
def test_lines_are_counted_as_they_are_split(server: Any, separator: str) -> None:
    answer = server.post("/v1/translate", text=separator.join(["a"] * 1_001))
    assert (answer.status, answer.error) == (
        413,
        "text: 1,001 lines, above 1,000; send it in several requests",
    )


def test_other_origins_may_read_when_to_come_again(serve: Any) -> None:
    server = serve(origins=("https://page.example",), max_bytes=10)
    origin = {"Origin": "https://page.example"}
    answer = server.send("POST", "/translate", b"a" * 11, JSON | origin)
    assert answer.status == 413
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    assert answer.headers["access-control-expose-headers"] == "Retry-After"
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}
    assert server.send("OPTIONS", "/translate", None, origin | asks).status == 200
    other = {"Origin": "https://page.example.evil"}
    assert server.send("OPTIONS", "/translate", None, other | asks).status == 400


def test_a_connection_serves_on_after_a_refusal(serve: Any) -> None:
    server = serve(max_characters=5)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    statuses = []
    for text in (LINE, "a", LINE):
        connection.request("POST", "/v1/translate", json.dumps({"text": text}), JSON)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses == [413, 200, 413]


Start = Callable[..., Any]


def test_a_run_without_attention_says_so_and_shows_the_rest(serve: Start, new_model: Any) -> None:
    model = new_model("plain", ("en", "de"), attention=None)
    server = serve(ModelRegistry([model]))
    assert server.get("/v1/models").json["models"][0]["has_attention"] is False
    segment = server.post("/v1/translate", text=LINE, views=True).json["translations"][0][
        "segments"
    ][0]
    assert segment["view"]["text"] == [LINE, segment["hypotheses"][0]["text"]]
    assert segment["view"]["omitted"]
    aligned = server.post("/v1/align", pairs=[[LINE, "small"]])
    assert aligned.status == 400
    assert aligned.error == "align: plain has no attention; use a model with attention"
    assert server.post("/v1/trace", text=LINE).status == 200
    assert server.post("/v1/score", pairs=[[LINE, "small"]]).status == 200
    assert server.post("/v1/alternatives", text=LINE).json["alternatives"]
