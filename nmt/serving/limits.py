"""Limits on requests, and what every answer has: headers, a line of the log, and its numbers.

These are plain ASGI applications around the app. A body is read here, before anything parses it, so
that a large or slow one costs little.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final

from fastapi import Response
from fastapi.responses import JSONResponse

from nmt.serving.metrics import Metrics
from nmt.serving.options import ServeOptions

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
_HEADERS: Final = {
    b"content-security-policy": PAGE_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
}
_MOST_CLIENTS: Final = 10_000  # whose requests are counted; more start again
_MINUTE: Final = 60.0
_CLOSE: Final = {"Connection": "close"}
_LATER: Final = {"Retry-After": "1"}
_SILENCE: Final = 1.0  # seconds after which no more of a refused body is expected

logger = logging.getLogger(__name__)


class Refusal(Exception):
    """A request that is answered with an error before the app sees it."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.response = JSONResponse({"error": message}, status, headers)


class Limits:
    """App whose requests are limited in size, time, rate and number."""

    def __init__(self, app: App, options: ServeOptions, metrics: Metrics) -> None:
        self._app = app
        self._options = options
        self._metrics = metrics
        self._num_waiting = 0
        self._num_bytes = 0  # of bodies that are not complete
        self._counts: dict[str, int] = {}
        self._minute = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        computes = scope["method"] == "POST"
        try:
            self._check_rate(scope)
            self._check_size(dict(scope["headers"]))
            if computes:
                self._check_waiting()
            body = await self._read(receive)
            if computes:
                self._check_waiting()  # others may have come meanwhile
        except Refusal as refusal:
            await self._refuse(refusal.response, scope, receive, send)
            return
        if computes:
            await self._compute(scope, _replay(body, receive), send)
        else:
            await self._app(scope, _replay(body, receive), send)

    async def _compute(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that waits for its result; a slow reader of the answer does not wait."""
        waits = True
        self._count_waiting(1)

        async def observe(message: Message) -> None:
            end()
            await send(message)

        def end() -> None:
            nonlocal waits
            if waits:
                waits = False
                self._count_waiting(-1)

        try:
            await self._app(scope, receive, observe)
        finally:
            end()

    def _count_waiting(self, change: int) -> None:
        self._num_waiting += change
        self._metrics.waiting.set(self._num_waiting)

    def _check_waiting(self) -> None:
        if self._num_waiting >= self._options.max_waiting:
            raise Refusal(503, "server: too many requests wait; try later", _LATER)

    async def _refuse(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        """Send an answer, and read what comes of the body, so that the client reads the answer."""

        async def observe(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({**message, "more_body": True})
                await self._discard(receive)
                message = {**message, "body": b""}
            await send(message)

        closes = response.headers.get("connection") == "close"
        await response(scope, receive, observe if closes else send)

    async def _discard(self, receive: Receive) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.timeout):
                more = True
                while more:
                    async with asyncio.timeout(_SILENCE):
                        more = (await receive()).get("more_body", False)

    def _check_rate(self, scope: Scope) -> None:
        most = self._options.requests_per_minute
        if most is None or scope["method"] != "POST":
            return
        now = time.monotonic()
        minute = int(now / _MINUTE)
        if minute != self._minute or len(self._counts) >= _MOST_CLIENTS:
            self._counts.clear()
            self._minute = minute
        client = (scope.get("client") or ("",))[0]
        self._counts[client] = number = self._counts.get(client, 0) + 1
        if number > most:
            rest = str(max(1, round(_MINUTE - now % _MINUTE)))
            message = f"Slowdown: more than {most} requests in a minute; wait {rest} seconds"
            raise Refusal(429, message, {"Retry-After": rest})

    def _check_size(self, headers: Mapping[bytes, bytes]) -> None:
        given = headers.get(b"content-length", b"0")
        if given.isdigit() and int(given) > self._options.max_bytes:
            raise self._too_large()

    def _too_large(self) -> Refusal:
        message = f"larger than {self._options.max_bytes:,} bytes; send it in several requests"
        return Refusal(413, f"body: {message}", _CLOSE)  # the rest is not read

    async def _read(self, receive: Receive) -> bytes:
        """Return the body of a request."""
        parts: list[bytes] = []
        size = 0
        most_bytes = self._options.max_waiting * self._options.max_bytes
        try:
            async with asyncio.timeout(self._options.timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(400, "body: ended early; send it whole")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    self._num_bytes += len(parts[-1])
                    if size > self._options.max_bytes:
                        raise self._too_large()
                    if self._num_bytes > most_bytes:
                        raise Refusal(503, "server: too many bodies arrive; try later", _LATER)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            seconds = f"{self._options.timeout:g} s"
            late = f"body: not complete after {seconds}; send it faster"
            raise Refusal(408, late, _CLOSE) from None
        finally:
            self._num_bytes -= size


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a function that gives the body first, and then what comes after it."""
    is_given = False

    async def give() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


class Observed:
    """App whose answers have the headers of all answers, and are counted and logged.

    Args:
        app: answers the requests.
        metrics: counts them.
        paths: that the log and the numbers may name; all others are of clients.
        fail: logs an error of the app, and returns the answer.
    """

    def __init__(
        self,
        app: App,
        metrics: Metrics,
        paths: Collection[str],
        fail: Callable[[Exception], Response],
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = paths
        self._fail = fail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status, method = time.monotonic(), 0, scope["method"]
        if method == "HEAD":  # uvicorn leaves out the body
            scope = {**scope, "method": "GET"}

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in _HEADERS.items() if name not in given]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            await self._app(scope, receive, observe)
        except Exception as error:
            response = self._fail(error)
            if status == 0:
                await response(scope, receive, observe)
        finally:
            seconds = time.monotonic() - start
            route = scope.get("route")
            path = scope["path"] if route is None else route.path
            path = path if path in self._paths else "other"
            self._metrics.add_request(path, status, seconds)
            logger.info("%.8s %s %d %.0f ms", method, path, status, 1_000 * seconds)
