"""`nmt serve`: translate in a browser, and answer clients of LibreTranslate.

Open the address that it prints: what you type is translated, words show their attention, and a
click on a word shows what else could stand there. Clients of LibreTranslate work as they are. The
API with scores, alignments and traces is described by /openapi.json and in docs/serving.md.

The server listens on this machine only, unless --host says otherwise. It keeps no texts, neither in
files nor in its log. It needs the extra `serve`: pip install '.[serve]' in the folder of nmt.

examples:
  nmt serve runs/toy
  nmt serve runs/en-de runs/de-en.onnx --port 8080
  nmt serve runs/old --languages en-de --host 0.0.0.0 --api-key-file keys.txt
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nmt.cli.arguments import (
    CommandArguments,
    flag,
    option,
    path,
    positional,
    repeated,
    whole_number,
)
from nmt.core.console import print_notice
from nmt.core.errors import UserError
from nmt.serving.options import ServeOptions, key_digest

_MOST: Final = 1_000_000
_DEFAULT_PORT: Final = 5_000


def _seconds(text: str) -> float:
    import argparse

    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 3_600.0:
        raise argparse.ArgumentTypeError(f"must be seconds from 0 to 3600, not {text!r}")
    return seconds


def _some_seconds(text: str) -> float:
    import argparse

    if (seconds := _seconds(text)) == 0.0:
        raise argparse.ArgumentTypeError(f"must be above 0 seconds, not {text!r}")
    return seconds


def _address(text: str) -> str:
    import argparse

    if not text:  # all addresses, for a socket
        raise argparse.ArgumentTypeError("must be an address, such as 127.0.0.1 or 0.0.0.0")
    return text


def _port(text: str) -> int:
    import argparse

    if not text.isdecimal() or len(text) > 5 or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to 65535, not {text!r}")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class Models(CommandArguments):
    """The models to serve."""

    TITLE = "models and device"

    models: list[str] = positional(
        "RUN|FILE.onnx", "trained runs, and files of `nmt export`", nargs="+"
    )
    languages: list[str] = repeated(
        "en-de",
        "source and target language of a model that does not name them, or zh-Hans:en; once for "
        "each model, in their order",
    )
    checkpoint: str = option("NAME", "best, last or step-N (default: best)", default="best")
    device: str = option("D", "auto, cpu, cuda or cuda:N (default: auto)", default="auto")
    precision: str | None = option(
        "P", "auto, float32, bfloat16, or int8 on a CPU (default: as in training)"
    )


@dataclass(frozen=True, kw_only=True)
class Access(Models):
    """Who can use the server."""

    TITLE = "access"

    host: str = option(
        "ADDRESS",
        "address to listen on (default: 127.0.0.1, this machine)",
        default="127.0.0.1",
        type=_address,
    )
    port: int = option(
        "N", "port; 0: any free one (default: 5000)", default=_DEFAULT_PORT, type=_port
    )
    api_key_file: Path | None = path(
        "accept only requests with a key of this file, which has one key per line"
    )
    cors: list[str] = repeated("ORIGIN", "let pages of this origin use the server; may be repeated")


@dataclass(frozen=True, kw_only=True)
class Arguments(Access):
    """Arguments of the command."""

    TITLE = "limits"

    max_bytes: int = option(
        "N",
        "maximum bytes of a request (default: 1 MiB)",
        default=ServeOptions.max_bytes,
        type=whole_number(1 << 30),
    )
    max_characters: int = option(
        "N",
        f"maximum characters of a request (default: {ServeOptions.max_characters:,})",
        default=ServeOptions.max_characters,
        type=whole_number(1 << 30),
    )
    max_lines: int = option(
        "N",
        f"maximum lines of a request (default: {ServeOptions.max_lines:,})",
        default=ServeOptions.max_lines,
        type=whole_number(_MOST),
    )
    max_waiting: int = option(
        "N",
        "maximum requests that wait for an answer; others get status 503 (default: "
        f"{ServeOptions.max_waiting})",
        default=ServeOptions.max_waiting,
        type=whole_number(_MOST),
    )
    requests_per_minute: int | None = option(
        "N",
        "maximum requests of one client; others get status 429 (default: no limit)",
        type=whole_number(_MOST),
    )
    timeout: float = option(
        "SECONDS",
        f"maximum time to receive a request, and to answer it (default: {ServeOptions.timeout:g})",
        default=ServeOptions.timeout,
        type=_some_seconds,
    )
    batch_window: float = option(
        "SECONDS",
        "time to wait for lines of other requests, to translate them together (default: "
        f"{ServeOptions.batch_window:g})",
        default=ServeOptions.batch_window,
        type=_seconds,
    )
    threads: int | None = option(
        "N", "threads that translate (default: the number of cores)", type=whole_number(1_024)
    )
    no_split: bool = flag("translate line by line, not sentence by sentence")
    no_protect: bool = flag("let the model translate links, e-mail addresses and numbers")
    log_texts: bool = flag("allow texts of users in the log")


def run(arguments: Arguments) -> int:
    """Load the models, and serve until a signal."""
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(
            f"nmt serve: {error.name} is not installed; install the extra `serve` (in the folder "
            "of nmt: pip install '.[serve]')"
        ) from None
    from nmt.serving.server import bind, serve
    from nmt.system.process import set_up_for_search

    set_up_for_search()
    options = _options(arguments)
    with bind(arguments.host, arguments.port) as listening:
        from nmt.serving.opening import open_models

        models = open_models(
            arguments.models,
            arguments.languages,
            checkpoint=arguments.checkpoint,
            device=arguments.device,
            precision=arguments.precision,
        )

        def report() -> None:
            for model in models.models.values():
                print_notice(f"{model.name}: {' -> '.join(model.languages)}, {model.kind}")
            host, port = listening.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            print_notice(f"serving at http://{shown}:{port}/ (Ctrl-C ends it)")

        serve(models, options, listening, report=report)
    return 0


def _options(arguments: Arguments) -> ServeOptions:
    from nmt.system.process import num_cores

    return ServeOptions(
        api_keys=_read_keys(arguments.api_key_file),
        origins=_check_origins(arguments.cors),
        max_bytes=arguments.max_bytes,
        max_characters=arguments.max_characters,
        max_lines=arguments.max_lines,
        max_waiting=arguments.max_waiting,
        requests_per_minute=arguments.requests_per_minute,
        timeout=arguments.timeout,
        batch_window=arguments.batch_window,
        num_threads=arguments.threads or num_cores(),
        splits=not arguments.no_split,
        protects=not arguments.no_protect,
        logs_texts=arguments.log_texts,
    )


def _check_origins(origins: list[str]) -> tuple[str, ...]:
    import re

    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/\s?#]+", origin):
            raise UserError(
                f"--cors {origin}: is not an origin; give one without a path, as https://a.example"
            )
    return tuple(origins)


def _read_keys(file: Path | None) -> tuple[bytes, ...]:
    """Return the SHA-256 of each key."""
    if file is None:
        return ()
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"--api-key-file {file}: not UTF-8; write one key per line") from None
    keys = {number: line.strip() for number, line in enumerate(lines, start=1) if line.strip()}
    for number, key in keys.items():
        if len(key.split()) > 1:
            raise UserError(
                f"--api-key-file {file}, line {number}: has blanks; write one key per line"
            )
    if not keys:
        raise UserError(f"--api-key-file {file}: has no keys; write one key per line")
    return tuple(map(key_digest, keys.values()))
