"""`nmt serve` as a process: what it prints, answers, and how it ends."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")


class Server:
    """A process of `nmt serve`."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "nmt", "serve", "--port", "0", *map(str, arguments)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if found := re.search(r"serving at (http://\S+) ", line):
                self.url = found[1]
                break
        else:
            raise AssertionError("\n".join(self.lines))

    def post(self, path: str, **body: Any) -> Any:
        data = json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            text: str = answer.read().decode()
            return text

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=60)
        self.lines += rest.splitlines()
        return self.process.returncode


@pytest.fixture
def start(interruptible: None) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(*arguments: object) -> Server:
        servers.append(Server(*arguments))
        return servers[-1]

    yield make
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


def test_it_translates_like_nmt_translate(
    in_trained: Path, exported: Path, start: Any, nmt: Any
) -> None:
    lines = (in_trained / "test.en").read_text().splitlines()
    translated = nmt("translate", "runs/tiny", "test.en").lines
    server = start("runs/tiny", exported)
    assert server.lines[:2] == ["tiny: en -> de, run", "tiny-2: en -> de, exported"]
    body = {"text": lines, "split": False}
    for name in ("tiny", "tiny-2"):
        found = server.post("v1/translate", **body, model=name)["translations"]
        assert [one["text"] for one in found] == translated
    answer = server.post("translate", q="\n".join(lines), source="en", target="de")
    assert answer["translatedText"].split("\n") == translated
    assert server.end() == 0


def test_requests_that_run_are_answered_before_it_ends(in_trained: Path, start: Any) -> None:
    server = start("runs/tiny", "--batch-window", "1")
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(server.post("v1/translate", text="one"))
    )
    thread.start()
    while "nmt_waiting 1.0" not in server.get("metrics"):
        time.sleep(0.01)
    assert server.end() == 0
    thread.join()
    assert answers[0]["model"] == "tiny"


def test_ctrl_c_ends_it(in_trained: Path, start: Any) -> None:
    server = start("runs/tiny")
    assert server.end(signal.SIGINT) == 130
    assert server.lines[-1] == "nmt: interrupted"


def test_a_port_in_use(in_trained: Path, nmt: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        nmt("serve", "runs/tiny", "--port", port).assert_refused(
            f"--port {port}: in use by another process; choose another, or 0 for any"
        )


def test_what_cannot_be_served(in_trained: Path, nmt: Any, tmp_path: Path) -> None:
    empty = tmp_path / "keys"
    empty.write_text("\n")
    comment = tmp_path / "comment"
    comment.write_text("secret\n\n# of the printer\n")
    for arguments, message in (
        (["runs/none"], "runs/none"),
        (
            ["runs/tiny", "--languages", "de"],
            "--languages de: must name two languages, such as en-de",
        ),
        (["runs/tiny", "--port", "99999"], "must be a whole number from 0 to 65535, not '99999'"),
        (["runs/tiny", "--timeout", "x"], "must be seconds from 0 to 3600, not 'x'"),
        (["runs/tiny", "--api-key-file", empty], "has no keys; write one key per line"),
        (
            ["runs/tiny", "--api-key-file", comment],
            f"--api-key-file {comment}, line 3: has blanks; write one key per line",
        ),
        (["runs/tiny", "--host", "192.0.2.1"], "--host 192.0.2.1: "),
        (["runs/tiny", "--host", ""], "must be an address, such as 127.0.0.1 or 0.0.0.0"),
        (["runs/tiny", "--timeout", "0"], "must be above 0 seconds, not '0'"),
        (
            ["runs/tiny", "--cors", "https://a.example/"],
            "--cors https://a.example/: is not an origin; give one without a path, as",
        ),
    ):
        if "--port" not in arguments:
            arguments += ["--port", "0"]
        nmt("serve", *arguments).assert_refused(message)


def test_languages_that_are_not_known(in_copy: Path, nmt: Any) -> None:
    config = Path("runs/tiny/config.yaml")
    config.write_text(config.read_text().replace("train.en", "train.source"))
    nmt("serve", "runs/tiny", "--port", "0").assert_refused(
        "runs/tiny: its languages are not known; give --languages en-de"
    )
