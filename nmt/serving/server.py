"""The process of the server: its socket, its signals and its log."""

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final

import torch
import uvicorn

from nmt.core.errors import UserError, os_reason
from nmt.serving.app import create_app
from nmt.serving.models import ModelRegistry
from nmt.serving.options import ServeOptions

# Seconds after which the thread that answers interrupts those that translate; Python's 0.005 s for
# each of its steps would be seen in every answer under load.
_SWITCH_INTERVAL: Final = 0.0005


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UserError: the address is in use, or not of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1_024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"--port {port}: in use by another process; choose another, or 0 for any"
            ) from None
        if error.errno == errno.EACCES:
            raise UserError(f"--port {port}: {os_reason(error)}; choose one above 1023") from None
        raise UserError(
            f"--host {host}: {os_reason(error)}; give an address of this machine"
        ) from None


class _Server(uvicorn.Server):
    """A server that reports when it takes requests and signals."""

    def __init__(self, config: uvicorn.Config, report: Callable[[], object]) -> None:
        super().__init__(config)
        self._report = report

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._report()


def make_server(
    models: ModelRegistry, options: ServeOptions, report: Callable[[], object] = lambda: None
) -> uvicorn.Server:
    """Return the server, which does not listen yet; it calls `report` before the first request."""
    config = uvicorn.Config(
        create_app(models, options),
        access_log=False,  # it has the query; ours has the path only
        http="h11",  # other parsers have no limit on the size of headers
        lifespan="on",
        log_config=None,
        log_level="error",  # warnings are about bytes that are not HTTP, which anybody can send
        server_header=False,
        timeout_graceful_shutdown=int(options.timeout) + 1,
        timeout_keep_alive=75,  # more than most proxies, so that they close first
        ws="none",
    )
    return _Server(config, report)


def serve(
    models: ModelRegistry,
    options: ServeOptions,
    listening: socket.socket,
    *,
    report: Callable[[], object] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT; requests that run are answered first.

    Args:
        models: to serve.
        options: of the server.
        listening: the socket; it is closed at the end.
        report: called before the first request, when signals end the server as they should.

    Raises:
        KeyboardInterrupt: at the end, after SIGINT.
    """
    torch.set_num_threads(1)  # a batch has one thread; there are as many batches as threads
    sys.setswitchinterval(_SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()  # the collector would stop all threads to look at modules and models again
    if not options.logs_texts:  # its warnings have words of the lines
        logging.getLogger("nmt.inference").setLevel(logging.ERROR)
    server = make_server(models, options, report)
    # uvicorn raises the signal again when it has ended, for the handler from before.
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        asyncio.run(server.serve([listening]))
    finally:
        signal.signal(signal.SIGTERM, before)
        listening.close()
