"""Limits on requests, keys, and clients that misbehave."""

import logging
import threading
import time
from typing import Any

import pytest

from nmt.serving.models import ModelRegistry, SearchOptions
from nmt.serving.options import ServeOptions, key_digest

LINE = "the cat sees a dog"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"text": 1}',
        b'{"text": ["a", 1]}',
        b'{"text": "\\ud800"}',
        b'{"text": "\xff"}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"text": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    ],
)
def test_bodies_that_are_not_valid(server: Any, body: bytes) -> None:
    for path in ("/v1/translate", "/translate", "/detect", "/v1/score"):
        answer = server.send("POST", path, body, JSON)
        assert answer.status == 400, path
        assert "\n" not in answer.error


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=x"])
def test_forms_that_are_not_valid(server: Any, kind: str) -> None:
    answer = server.send("POST", "/translate", b"--x\r\nfoo", {"Content-Type": kind})
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "{{7*7}}", "\x1b[31m", "a\0b", "é" * 500, "'\"&<>", "\u202e"],
)
def test_hostile_texts_are_texts(server: Any, text: str) -> None:
    answer = server.post("/v1/translate", text=text, views=True)
    assert answer.status == 200
    segments = answer.json["translations"][0]["segments"]
    assert all(segment["source"] in text for segment in segments)


def test_a_large_body_is_refused_before_it_is_sent(server: Any) -> None:
    with server.connect() as client:
        client.sendall(b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n")
        with client.makefile("rb") as read:
            answer = read.read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"body: larger than 1,048,576 bytes; send it in several requests" in answer


def test_a_large_body_in_chunks_is_refused(serve: Any) -> None:
    server = serve(max_bytes=100)
    with server.connect() as client:
        client.sendall(b"POST /translate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(b"40\r\n" + b"a" * 64 + b"\r\n" + b"40\r\n" + b"a" * 64 + b"\r\n")
        assert client.recv(10_000).startswith(b"HTTP/1.1 413 ")


def test_a_slow_body_is_refused(serve: Any) -> None:
    server = serve(timeout=0.2)
    with server.connect() as client:
        client.sendall(b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        with client.makefile("rb") as read:
            answer = read.read()  # until the server closes the connection
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body: not complete after 0.2 s; send it faster" in answer


def test_idle_and_half_requests_do_not_slow_others(server: Any) -> None:
    clients = [server.connect() for _ in range(200)]
    for client in clients[:100]:
        client.sendall(b"POST /translate HTT")
    for client in clients[100:150]:
        client.sendall(b"POST /translate HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    start = time.monotonic()
    assert server.post("/translate", q=LINE, source="en", target="de").status == 200
    assert time.monotonic() - start < 5.0
    for client in clients:
        client.close()


class SlowModel:
    """A model that waits; the rest is that of another."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.may_run = threading.Event()
        self.has_begun = threading.Event()
        self.num_lines = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def translate(self, lines: list[Any], options: SearchOptions, check: Any = None) -> Any:
        self.has_begun.set()
        self.may_run.wait(20)
        self.num_lines += len(lines)
        return self._model.translate(lines, options)


@pytest.fixture
def slow(models: ModelRegistry) -> Any:
    return SlowModel(models.first)


def ask(server: Any, answers: list[Any], text: str = LINE) -> threading.Thread:
    work = lambda: answers.append(server.post("/v1/translate", text=text))  # noqa: E731
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_too_many_waiting_requests_are_refused_at_once(serve: Any, slow: Any) -> None:
    server = serve(ModelRegistry([slow]), max_waiting=2)
    answers: list[Any] = []
    threads = [ask(server, answers) for _ in range(2)]
    assert slow.has_begun.wait(10)
    while "nmt_waiting 2.0" not in server.get("/metrics").body.decode():
        time.sleep(0.01)
    start = time.monotonic()
    refused = server.post("/v1/translate", text=LINE)
    assert time.monotonic() - start < 1.0
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.error == "server: too many requests wait; try later"
    assert server.get("/health").status == 200
    slow.may_run.set()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200, 200]


def test_an_answer_that_takes_too_long_is_refused(serve: Any, slow: Any) -> None:
    server = serve(ModelRegistry([slow]), timeout=0.2)
    answer = server.post("/v1/translate", text=LINE)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.error == "server: no answer after 0.2 s; try a shorter text"
    slow.may_run.set()


def test_a_client_that_leaves_costs_nothing_more(serve: Any, slow: Any) -> None:
    server = serve(ModelRegistry([slow]))
    answers: list[Any] = []
    first = ask(server, answers)
    assert slow.has_begun.wait(10)
    with server.connect() as client:
        body = b'{"text": "here here here"}'
        head = b"POST /v1/translate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        client.sendall(head + body)
        while "nmt_waiting 2.0" not in server.get("/metrics").body.decode():
            time.sleep(0.01)
    while "nmt_waiting 1.0" not in server.get("/metrics").body.decode():
        time.sleep(0.01)
    slow.may_run.set()
    first.join()
    assert answers[0].status == 200
    assert server.post("/v1/translate", text=LINE).status == 200
    assert slow.num_lines == 2, "the lines of the client that left are not translated"


def test_requests_of_a_client_are_counted(serve: Any) -> None:
    server = serve(requests_per_minute=2)
    statuses = [server.post("/v1/translate", text=LINE).status for _ in range(2)]
    refused = server.post("/translate", q=LINE, source="en", target="de")
    if refused.status == 200:  # a new minute has begun
        pytest.skip("the minute has changed")
    assert statuses == [200, 200]
    assert refused.status == 429
    assert refused.error.startswith("Slowdown: more than 2 requests in a minute; wait ")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert server.get("/languages").status == 200


KEYS = {"api_keys": (key_digest("secret"), key_digest("other"))}


def test_keys_are_required(serve: Any) -> None:
    server = serve(**KEYS)
    body = {"q": LINE, "source": "en", "target": "de"}
    missing = server.post("/translate", **body)
    assert missing.status == 400
    assert missing.error == "API key: missing; send api_key, X-API-Key or Authorization"
    assert server.post("/v1/translate", text=LINE).status == 401
    assert server.get("/v1/models").status == 401
    assert server.get("/metrics").status == 401
    wrong = server.post("/translate", **body, api_key="secreT")
    assert (wrong.status, wrong.error) == (403, "Invalid API key")
    assert server.post("/translate", **body, api_key="other").status == 200
    assert server.post_form("/translate", {**body, "api_key": "secret"}).status == 200
    headers = [{"X-API-Key": "secret"}, {"Authorization": "Bearer secret"}]
    assert [server.get("/v1/models", **header).status for header in headers] == [200, 200]
    for path in ("/", "/health", "/languages", "/frontend/settings", "/page.css"):
        assert server.get(path).status == 200
    assert server.get("/frontend/settings").json["keyRequired"] is True


def test_keys_are_compared_whole() -> None:
    options = ServeOptions(api_keys=(key_digest("secret"),))
    assert options.accepts_key("secret")
    assert not any(options.accepts_key(key) for key in ("", "secre", "secrets", "\ud800"))


def test_other_origins_are_allowed_by_name_only(serve: Any, server: Any) -> None:
    origin = {"Origin": "https://page.example"}
    assert "access-control-allow-origin" not in server.get("/languages", **origin).headers
    allowing = serve(origins=("https://page.example",))
    answer = allowing.get("/languages", **origin)
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    other = allowing.get("/languages", Origin="https://other.example")
    assert "access-control-allow-origin" not in other.headers


def test_the_log_has_no_texts(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nmt.serving")
    server.send("POST", "/v1/translate?text=xylophone", b'{"text": "xylophone"}', JSON)
    server.get("/xylophone")
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("POST /v1/translate 200 ") for line in lines)
    assert not any("xylophone" in line for line in lines)


def test_an_internal_error_is_logged_without_texts(
    serve: Any, models: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(SlowModel):
        def translate(self, lines: list[Any], options: SearchOptions, check: Any = None) -> Any:
            raise ValueError(f"cannot translate {lines}")

    server = serve(ModelRegistry([Broken(models.first)]))  # type: ignore[list-item]
    answer = server.post("/v1/translate", text="xylophone")
    assert answer.status == 500
    assert answer.error == "server: internal error 1; its log has the details"
    assert "ValueError at " in caplog.text
    assert "xylophone" not in caplog.text


def test_a_lack_of_memory_is_no_internal_error(serve: Any, models: Any) -> None:
    class Full(SlowModel):
        def translate(self, lines: list[Any], options: SearchOptions, check: Any = None) -> Any:
            raise MemoryError

    server = serve(ModelRegistry([Full(models.first)]))  # type: ignore[list-item]
    answer = server.post("/v1/translate", text=LINE)
    assert (answer.status, answer.error) == (503, "server: out of memory; try later")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(server: Any, method: str) -> None:
    assert server.send(method, "/v1/translate", b"").status == 405
