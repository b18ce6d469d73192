"""Bodies of requests, as JSON or as a form, and the errors that answer them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

Format = Literal["text", "html"]
Line = Annotated[str, Field(max_length=1_000_000)]
Count = Annotated[int, Field(ge=1, le=50)]
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
_MOST_FIELDS: Final = 10_000  # of a form
_NO_LIMIT: Final = 1 << 40  # of a part: the whole body is limited, and in memory
_MOST_SHOWN: Final = 80  # characters of the name of a field in an error


class Body(BaseModel):
    """A body; every one may hold the API key."""

    model_config = ConfigDict(hide_input_in_errors=True, title=None)
    api_key: str | None = None


class Strict(Body):
    """A body that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid")
    model: str | None = Field(None, description="name of a model; the first one if left out")


class LibreTranslation(Body):
    """Body of `/translate`, as LibreTranslate's clients send it."""

    q: str | list[str] | None = Field(None, description="text, or texts", examples=["Hello!"])
    source: str | None = Field(None, description="language of the text, or auto", examples=["en"])
    target: str | None = Field(None, description="language to translate to", examples=["de"])
    format: str = Field("text", description="text or html")
    alternatives: int = Field(0, ge=0, le=20, description="further translations of each text")


class LibreDetection(Body):
    """Body of `/detect`."""

    q: str | list[str] | None = Field(None, examples=["Hello!"])


class Translation(Strict):
    """Body of `/v1/translate`."""

    text: Line | list[Line] = Field(description="text, or texts, of any number of lines")
    prefix: Line = Field("", description="text that the translation of a single line starts with")
    n_best: Count = Field(1, description="translations of each sentence")
    beam_size: Count | None = Field(None, description="of the search; the model's if left out")
    format: Format = "text"
    split: bool = Field(True, description="translate sentence by sentence")
    views: bool = Field(False, description="add the attention of each sentence")
    token_scores: bool = Field(False, description="add the log-probability of each token")


class Alternatives(Strict):
    """Body of `/v1/alternatives`: other words at one place of a translation."""

    text: Line = Field(description="one sentence of the source")
    prefix: Line = Field("", description="the translation before the word, kept as it is")
    count: Annotated[int, Field(ge=1, le=20)] = 5


class Pairs(Strict):
    """Body of `/v1/score` and `/v1/align`."""

    pairs: list[tuple[Line, Line]] = Field(description="source and target of each sentence")


class Tracing(Strict):
    """Body of `/v1/trace`."""

    text: Line = Field(description="one sentence")
    prefix: Line = Field("", description="text that the translation starts with")
    arrays: bool = Field(False, description="add every array, which is large")


SomeBody = TypeVar("SomeBody", bound=Body)


def refuse(status: int, message: str, *, retry_after: int | None = None) -> HTTPException:
    """Return the exception that answers a request with an error.

    Args:
        status: of the answer.
        message: one line: what is wrong, and what to do.
        retry_after: seconds after which the client may ask again; None: it says nothing of that.
    """
    headers = None if retry_after is None else {"Retry-After": str(retry_after)}
    return HTTPException(status, message, headers)


def read_body(kind: type[SomeBody]) -> Callable[[Request], Awaitable[SomeBody]]:
    """Return a dependency that reads a body of this kind, from JSON or from a form."""

    async def read(request: Request) -> SomeBody:
        try:
            if content_type(request) in _FORMS:
                return kind.model_validate((await read_form(request)).fields)
            return kind.model_validate_json(await request.body() or b"null")
        except ValidationError as error:
            raise refuse(400, explain(error)) from None

    return read


def content_type(request: Request) -> str:
    """Return the content type of a request, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Form:
    """A form.

    Attributes:
        fields: texts; a field that is given several times is a list.
        files: name and content of each file.
    """

    fields: dict[str, Any]
    files: dict[str, tuple[str, bytes]]


async def read_form(request: Request) -> Form:
    """Return the form of a request; its files stay in memory."""
    _, parameters = parse_options_header(request.headers.get("content-type"))
    if parameters.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
        raise refuse(400, "body: its charset is not UTF-8; send UTF-8")
    kind = _InMemory if content_type(request) == "multipart/form-data" else FormParser
    try:
        parsed = await kind(
            request.headers, request.stream(), max_fields=_MOST_FIELDS, max_part_size=_NO_LIMIT
        ).parse()
    except MultiPartException as error:
        message = f"body: not a valid form ({error.message.rstrip('.')}); send it again"
        raise refuse(400, message) from None
    texts: dict[str, list[str]] = {}
    files: dict[str, tuple[str, bytes]] = {}
    for name, value in parsed.multi_items():
        if isinstance(value, str):
            texts.setdefault(name, []).append(value)
        else:
            files[name] = value.filename or "", await value.read()
    await parsed.close()
    fields = {name: values[0] if len(values) == 1 else values for name, values in texts.items()}
    return Form(fields, files)


class _InMemory(MultiPartParser):
    spool_max_size = _NO_LIMIT


def explain(error: ValidationError) -> str:
    """Return the first problem of a body as one line."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))[:_MOST_SHOWN] or "body"
    message = first["msg"][:1].lower() + first["msg"][1:]
    return f"{place}: {message}; /openapi.json describes the body"


def describe_body(kind: type[Body]) -> dict[str, Any]:
    """Return the part of the OpenAPI description of a request with this body."""
    schema = kind.model_json_schema()
    kinds = ("application/json", *_FORMS)
    content = {name: {"schema": schema} for name in kinds}
    return {"requestBody": {"required": True, "content": content}}
