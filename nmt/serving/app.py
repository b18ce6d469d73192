"""The web application: its routes, its page, and how errors are answered."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from jinja2 import ChoiceLoader, PackageLoader
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from nmt.core.errors import UserError
from nmt.core.version import __version__
from nmt.serving.api import OwnAPI
from nmt.serving.libretranslate import LibreTranslate
from nmt.serving.limits import Limits, Observed
from nmt.serving.models import ModelRegistry
from nmt.serving.options import ServeOptions
from nmt.serving.service import Service
from nmt.visualization import page

_CACHED: Final = {"Cache-Control": "no-cache"}
_SCRIPTS: Final = (  # of the page, in the order in which they need each other
    "ask.js",
    "sentence.js",
    "choices.js",
    "column.js",
    "details.js",
    "serve.js",
)
_STATUSES: Final = {
    400: "the request cannot be answered",
    401: "an API key is missing",
    403: "the API key is not valid",
    404: "not found",
    408: "the body was too slow",
    413: "the body or its texts are too large",
    429: "too many requests",
    503: "too many requests wait, or no answer in time",
}


class Error(BaseModel):
    """Answer to a request that cannot be served."""

    error: str


def create_app(models: ModelRegistry, options: ServeOptions) -> FastAPI:
    """Return the application; its threads end with its lifespan.

    Args:
        models: to serve.
        options: of the server.
    """
    service = Service(models, options)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="nmt serve",
        version=__version__,
        description="Translation by recurrent models with attention. Texts are not kept.",
        docs_url=None,  # these pages load scripts from a network
        redoc_url=None,
        redirect_slashes=False,  # its addresses would be those that clients name as their host
        lifespan=lifespan,
        responses={
            status: {"model": Error, "description": text} for status, text in _STATUSES.items()
        },
    )
    app.include_router(LibreTranslate(service).router())
    app.include_router(OwnAPI(service).router())
    _add_page(app)

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        service.require_key(request, None)
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    app.add_exception_handler(StarletteHTTPException, _answer_error)
    app.add_exception_handler(UserError, _answer_user_error)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]
    _add_middleware(app, service)
    return app


def _add_middleware(app: FastAPI, service: Service) -> None:
    """Wrap the application, whose description is complete, in its limits."""
    options = service.options
    # The last is the outermost: it sees each request first, and each answer last.
    app.add_middleware(Limits, options=options, metrics=service.metrics)
    if options.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(options.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=["Retry-After"],
        )
    app.add_middleware(
        Observed,
        metrics=service.metrics,
        paths=frozenset([*app.openapi()["paths"], *_FILES, "/metrics", "/openapi.json"]),
        fail=lambda error: _write_error(service.fail(error)),
    )


def _add_page(app: FastAPI) -> None:
    """Add the page and its files."""
    for path, (read, kind) in _FILES.items():
        app.add_route(path, _fixed(read(), kind), methods=["GET"], include_in_schema=False)


def _fixed(content: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that answers with this content."""

    async def answer(request: Request) -> Response:
        return Response(content, headers=_CACHED, media_type=kind)

    return answer


@cache
def _page() -> str:
    shared = page.environment()
    assert shared.loader is not None
    loader = ChoiceLoader([PackageLoader("nmt.serving", "page"), shared.loader])
    template = shared.overlay(loader=loader).get_template("serve.html")
    return template.render(title="nmt", version=__version__, policy="", style="", script="")


def _script() -> str:
    folder = files("nmt.serving") / "page"
    own = [folder.joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS]
    return "\n".join([page.script("trace"), *own])


_FILES: Final[dict[str, tuple[Callable[[], str], str]]] = {
    "/": (_page, "text/html"),
    "/page.css": (page.style, "text/css"),
    "/page.js": (_script, "text/javascript"),
    "/robots.txt": (lambda: "User-agent: *\nDisallow: /\n", "text/plain"),
}


async def _answer_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    return _write_error(error)


def _write_error(error: StarletteHTTPException) -> JSONResponse:
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _answer_user_error(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, 400)


def _describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description, without the 422 that no route answers."""
    if app.openapi_schema is None:
        described = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        for methods in described["paths"].values():
            for operation in methods.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            described["components"]["schemas"].pop(name, None)
        app.openapi_schema = described
    return app.openapi_schema
