"""A server in a thread, with small models that nobody has trained."""

import asyncio
import http.client
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from nmt.build.model import build_model
from nmt.config.decoding import DecodingConfig
from nmt.config.model import ModelConfig
from nmt.core.special_tokens import EOS
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.loading import build_search
from nmt.inference.translator import Translator
from nmt.serving.models import ModelRegistry, ServedRun
from nmt.serving.options import ServeOptions
from nmt.serving.server import make_server
from nmt.text.normalization import Normalizer
from nmt.text.tokenizer import Tokenizer
from nmt.text.words import WordTrainer

WORDS = ["the", "cat", "dog", "sees", "hears", "a", "small", "old", "house", "here"]
OPTIONS = {"max_length": 12, "beam_size": 3}
JSON = {"Content-Type": "application/json"}


def make_translator(
    seed: int = 3, tokenizer: Tokenizer | None = None, **options: Any
) -> Translator:
    torch.manual_seed(seed)
    tokenizer = tokenizer or WordTrainer(Normalizer()).train(lambda: iter([" ".join(WORDS)]))
    config: dict[str, Any] = {
        "embedding": {"size": 8, "dropout": 0},
        "encoder": {"hidden_size": 8, "dropout": 0},
        "decoder": {"hidden_size": 12, "output_dropout": 0},
        **options,
    }
    model = build_model(ModelConfig.model_validate(config), len(tokenizer), len(tokenizer)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "hidden" not in name:
                parameter.mul_(3.0)
        model.projection.bias[EOS] += 2.0
    search = build_search(DecodingConfig.model_validate(OPTIONS), tokenizer)
    runner = BatchRunner(model, search, torch.device("cpu"), torch.float32, batch_tokens=2_000)
    return Translator(
        runner,
        source_reader=tokenizer,
        target_tokenizer=tokenizer,
        max_source_length=200,
    )


def make_model(
    name: str,
    languages: tuple[str, str],
    seed: int = 3,
    tokenizer: Tokenizer | None = None,
    **options: Any,
) -> ServedRun:
    decoding = DecodingConfig.model_validate(OPTIONS)
    return ServedRun(name, languages, make_translator(seed, tokenizer, **options), decoding)


@pytest.fixture(scope="session")
def models() -> ModelRegistry:
    return ModelRegistry([make_model("first", ("en", "de")), make_model("second", ("en", "fr"), 5)])


@dataclass
class Answer:
    """What a server answers."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        assert list(self.json) == ["error"], self.body
        error: str = self.json["error"]
        return error


@dataclass
class Running:
    """A server that runs."""

    port: int
    problems: list[BaseException] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(
                answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
            )
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, None, headers)

    def post(self, path: str, /, **body: Any) -> Answer:
        return self.send("POST", path, json.dumps(body).encode(), JSON)

    def post_form(self, path: str, fields: Any) -> Answer:
        form = urllib.parse.urlencode(fields, doseq=True).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send("POST", path, form, kind)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@contextmanager
def run_server(models: ModelRegistry, **options: Any) -> Iterator[Running]:
    """Run a server in a thread until the end of the context; its own errors fail the test."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = make_server(models, ServeOptions(**options))
    running = Running(listening.getsockname()[1])

    def work() -> None:
        try:
            asyncio.run(server.serve([listening]))
        except BaseException as error:
            running.problems.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield running
    server.should_exit = True
    thread.join(timeout=40)
    listening.close()
    assert not thread.is_alive(), "the server ends"
    assert running.problems == []


@pytest.fixture(scope="session")
def server(models: ModelRegistry) -> Iterator[Running]:
    """A server with the default options."""
    with run_server(models) as running:
        yield running


@pytest.fixture
def serve(models: ModelRegistry) -> Iterator[Callable[..., Running]]:
    """Return a function that starts a server with other options, and maybe other models."""
    with ExitStack() as stack:

        def start(others: ModelRegistry | None = None, **options: Any) -> Running:
            return stack.enter_context(run_server(others or models, **options))

        yield start


@pytest.fixture(scope="session")
def new_model() -> Callable[..., ServedRun]:
    """Return a function that makes a served model of a name and two languages."""
    return make_model
