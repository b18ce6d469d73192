"""The API of LibreTranslate: its paths, fields, answers and error messages."""

import re
import time
import uuid
from asyncio import to_thread
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from nmt.core.languages import name_of
from nmt.inference.documents import FORMATS
from nmt.serving.languages import match_tag
from nmt.serving.models import SearchOptions, ServedModel
from nmt.serving.schemas import (
    Form,
    LibreDetection,
    LibreTranslation,
    describe_body,
    read_body,
    read_form,
    refuse,
)
from nmt.serving.service import Service, TranslatedText

AUTO: Final = "auto"
_FORMATS: Final = ("text", "html")
_MOST_FILES: Final = 16
_SECONDS: Final = 600.0  # that a translated file is kept
_NOT_IN_NAMES: Final = re.compile(r"[^\w.-]+", re.ASCII)


@dataclass
class TranslatedFiles:
    """Translated files in memory: the last 16, for ten minutes."""

    _files: dict[str, tuple[float, bytes]] = field(default_factory=dict)

    def add(self, name: str, content: bytes) -> str:
        """Keep a file and return the name to download it with."""
        self._drop_old()
        while len(self._files) >= _MOST_FILES:
            del self._files[next(iter(self._files))]
        key = f"{uuid.uuid4()}.{_NOT_IN_NAMES.sub('_', name)[-80:]}"
        self._files[key] = time.monotonic(), content
        return key

    def find(self, key: str) -> bytes | None:
        """Return a file; None: it is not kept."""
        self._drop_old()
        return self._files[key][1] if key in self._files else None

    def _drop_old(self) -> None:
        now = time.monotonic()
        self._files = {key: file for key, file in self._files.items() if now - file[0] < _SECONDS}


class LibreTranslate:
    """The requests of LibreTranslate's clients.

    Args:
        service: computes the answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._files = TranslatedFiles()

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["LibreTranslate"])
        add = router.add_api_route
        add(
            "/translate",
            self.translate,
            methods=["POST"],
            openapi_extra=describe_body(LibreTranslation),
        )
        add("/detect", self.detect, methods=["POST"], openapi_extra=describe_body(LibreDetection))
        add("/languages", self.languages, methods=["GET"])
        add("/health", self.health, methods=["GET"])
        add("/frontend/settings", self.settings, methods=["GET"])
        add("/translate_file", self.translate_file, methods=["POST"], openapi_extra=_FILE_BODY)
        add("/download_file/{name}", self.download, methods=["GET"])
        return router

    async def translate(
        self,
        request: Request,
        body: Annotated[LibreTranslation, Depends(read_body(LibreTranslation))],
    ) -> JSONResponse:
        """Translate a text, or a list of texts."""
        service = self._service
        service.require_key(request, body.api_key, missing=400)
        if not body.q:
            raise refuse(400, "Invalid request: missing q parameter")
        texts = [body.q] if isinstance(body.q, str) else body.q
        self._require_short(texts)
        if body.format not in _FORMATS:
            raise refuse(400, f"{body.format[:80]} format is not supported")
        return await service.answer(request, self._translate(body, texts))

    async def _translate(self, body: LibreTranslation, texts: list[str]) -> JSONResponse:
        found = await to_thread(
            lambda: [self._find_model(body.source, body.target, text) for text in texts]
        )
        search = SearchOptions(n_best=body.alternatives + 1)
        translated: dict[int, TranslatedText] = {}
        for model in dict.fromkeys(model for model, _ in found):
            places = [place for place, (one, _) in enumerate(found) if one is model]
            results = await self._service.translate_texts(
                model,
                [texts[place] for place in places],
                search,
                self._service.document_options(body.format),
            )
            translated.update(zip(places, results, strict=True))

        def write() -> JSONResponse:
            ordered = [translated[place] for place in range(len(texts))]
            answer: dict[str, Any] = {"translatedText": [one.result.text for one in ordered]}
            if body.source == AUTO:
                answer["detectedLanguage"] = [_confidence(detected) for _, detected in found]
            if body.alternatives:
                is_text = body.format == "text"
                answer["alternatives"] = [
                    one.alternatives(body.alternatives) if is_text else [] for one in ordered
                ]
            is_list = not isinstance(body.q, str)
            return JSONResponse(answer if is_list else {key: one for key, (one,) in answer.items()})

        return await to_thread(write)

    async def detect(
        self, request: Request, body: Annotated[LibreDetection, Depends(read_body(LibreDetection))]
    ) -> JSONResponse:
        """Return the likely languages of a text, among the languages that are served."""
        self._service.require_key(request, body.api_key, missing=400)
        if not body.q:
            raise refuse(400, "Invalid request: missing q parameter")
        text = body.q if isinstance(body.q, str) else "\n".join(body.q)
        self._require_short([text])
        return JSONResponse([_confidence(found) for found in self._service.detector.detect(text)])

    async def languages(self) -> JSONResponse:
        """Return the languages, and those that each can be translated to."""
        models = self._service.models
        tags = dict.fromkeys([*models.source_languages, *models.target_languages])
        return JSONResponse(
            [{"code": tag, "name": name_of(tag), "targets": models.targets_of(tag)} for tag in tags]
        )

    async def health(self) -> JSONResponse:
        """Return that the server runs."""
        return JSONResponse({"status": "ok"})

    async def settings(self) -> JSONResponse:
        """Return the settings that a page needs."""
        options = self._service.options
        source, target = self._service.models.first.languages
        return JSONResponse(
            {
                "apiKeys": bool(options.api_keys),
                "charLimit": options.max_characters,
                "filesTranslation": True,
                "frontendTimeout": 500,
                "keyRequired": bool(options.api_keys),
                "language": {
                    "source": {"code": source, "name": name_of(source)},
                    "target": {"code": target, "name": name_of(target)},
                },
                "suggestions": False,
                "supportedFilesFormat": [".txt", ".html"],
            }
        )

    async def translate_file(self, request: Request) -> JSONResponse:
        """Translate a text file or an HTML file, in UTF-8."""
        service = self._service
        form = await read_form(request)
        service.require_key(request, _text(form, "api_key"), missing=400)
        filename, content = form.files.get("file", ("", b""))
        if not filename:
            raise refuse(400, "Invalid request: missing file parameter")
        suffix = "." + filename.rpartition(".")[2].lower()
        if suffix not in FORMATS:
            raise refuse(400, "Invalid request: file format not supported; send .txt or .html")
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise refuse(400, "file: not UTF-8; convert it") from None
        self._require_short([text])
        model, _ = self._find_model(_text(form, "source"), _text(form, "target"), text)
        document = service.document_options(FORMATS[suffix])
        (result,) = await service.answer(
            request, service.translate_texts(model, [text], SearchOptions(), document)
        )
        name = self._files.add(filename, result.result.text.encode())
        return JSONResponse({"translatedFileUrl": f"{request.base_url}download_file/{name}"})

    async def download(self, name: str) -> Response:
        """Return a translated file."""
        content = self._files.find(name)
        if content is None:
            raise refuse(404, "file: not found, or older than ten minutes; translate it again")
        attachment = {"Content-Disposition": f'attachment; filename="{name.partition(".")[2]}"'}
        return Response(content, headers=attachment, media_type="application/octet-stream")

    def _require_short(self, texts: list[str]) -> None:
        """Refuse with LibreTranslate's own status and message."""
        if excess := self._service.find_excess(texts):
            number, most, _ = excess
            raise refuse(400, f"Invalid request: request ({number}) exceeds text limit ({most})")

    def _find_model(
        self, source: str | None, target: str | None, text: str
    ) -> tuple[ServedModel, tuple[str, float]]:
        """Return the model of a direction, with the language of the text and its probability."""
        models = self._service.models
        for name, given in (("source", source), ("target", target)):
            if not given:
                raise refuse(400, f"Invalid request: missing {name} parameter")
        assert source is not None and target is not None
        detected = source, 1.0
        if source == AUTO:
            detected = self._service.detector.detect(text)[0]
        from_tag = match_tag(detected[0], models.source_languages)
        if from_tag is None:
            raise refuse(400, f"{source[:80]} is not supported")
        to_tag = match_tag(target, models.targets_of(from_tag))
        model = None if to_tag is None else models.find(from_tag, to_tag)
        if model is None:
            known = match_tag(target, models.target_languages)
            if known is None:
                raise refuse(400, f"{target[:80]} is not supported")
            raise refuse(
                400,
                f"{name_of(known)} ({known}) is not available as a target language from "
                f"{name_of(from_tag)} ({from_tag})",
            )
        return model, detected


def _confidence(found: tuple[str, float]) -> dict[str, Any]:
    tag, probability = found
    return {"confidence": round(100.0 * probability, 1), "language": tag}


def _text(form: Form, name: str) -> str | None:
    value = form.fields.get(name)
    return value if isinstance(value, str) else None


_FILE_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "source": {"type": "string"},
                        "target": {"type": "string"},
                        "api_key": {"type": "string"},
                    },
                    "required": ["file", "source", "target"],
                }
            }
        },
    }
}
