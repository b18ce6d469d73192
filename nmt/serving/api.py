"""The server's own API: everything that a model can show."""

from asyncio import to_thread
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from nmt.core.languages import name_of
from nmt.inference.forced_decoding import SentenceAlignment, SentenceScore
from nmt.inference.inputs import Input, Pair
from nmt.inference.trace import Trace
from nmt.inference.translation import Translation
from nmt.inference.views import view_of_alignment, view_of_translation
from nmt.serving import schemas
from nmt.serving.models import SearchOptions, ServedModel
from nmt.serving.schemas import describe_body, read_body, refuse
from nmt.serving.service import Service
from nmt.visualization.attention_view import short

ToTranslate = Annotated[schemas.Translation, Depends(read_body(schemas.Translation))]
ToReplace = Annotated[schemas.Alternatives, Depends(read_body(schemas.Alternatives))]
ToScore = Annotated[schemas.Pairs, Depends(read_body(schemas.Pairs))]
ToTrace = Annotated[schemas.Tracing, Depends(read_body(schemas.Tracing))]
SomeStrict = TypeVar("SomeStrict", bound=schemas.Strict)


class OwnAPI:
    """The requests to `/v1`.

    Args:
        service: computes the answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["nmt"])
        router.add_api_route("/v1/models", self.models, methods=["GET"])
        for path, endpoint, kind in (
            ("/v1/translate", self.translate, schemas.Translation),
            ("/v1/alternatives", self.alternatives, schemas.Alternatives),
            ("/v1/score", self.score, schemas.Pairs),
            ("/v1/align", self.align, schemas.Pairs),
            ("/v1/trace", self.trace, schemas.Tracing),
        ):
            router.add_api_route(
                path, endpoint, methods=["POST"], openapi_extra=describe_body(kind)
            )
        return router

    async def models(self, request: Request) -> JSONResponse:
        """Return the models."""
        self._service.require_key(request, None)
        return JSONResponse(
            {"models": [_describe(model) for model in self._service.models.models.values()]}
        )

    async def translate(self, request: Request, body: ToTranslate) -> JSONResponse:
        """Translate texts, with scores, other translations and attention."""
        service = self._service
        model = self._open(request, body)
        texts = [body.text] if isinstance(body.text, str) else body.text
        service.require_short(texts)
        search = SearchOptions(body.beam_size, body.n_best, body.views, body.token_scores)
        if body.token_scores:
            model.require_run("token_scores")
        if body.prefix:
            segments = [[await self._translate_prefix(request, body, model, texts, search)]]
            written = [segments[0][0][1].text]
        else:
            document = service.document_options(body.format, splits=body.split)
            found = await service.answer(
                request, service.translate_texts(model, texts, search, document)
            )
            segments = [one.result.segments for one in found]
            written = [one.result.text for one in found]

        def write() -> JSONResponse:
            translations = [
                {
                    "text": text,
                    "segments": [
                        _segment(model, line, body, number)
                        for number, line in enumerate(lines, start=1)
                    ],
                }
                for text, lines in zip(written, segments, strict=True)
            ]
            source, target = model.languages
            return JSONResponse(
                {
                    "model": model.name,
                    "source_language": source,
                    "target_language": target,
                    "translations": translations,
                }
            )

        return await to_thread(write)

    async def alternatives(self, request: Request, body: ToReplace) -> JSONResponse:
        """Return other words after a prefix of a translation, each with its translation."""
        from nmt.inference.alternatives import Alternative, find_alternatives

        model = self._open(request, body)
        translator = model.require_run("alternatives")
        _require_line(body.text, "text")
        self._service.require_short([body.text, body.prefix])

        def find(check: Callable[[], None]) -> list[Alternative]:
            runner = replace(translator.runner, observer=lambda step: check())
            watched = replace(translator, runner=runner)
            return find_alternatives(watched, body.text, body.prefix, body.count)

        work = self._service.run(find)
        found = await self._service.answer(request, work)
        return JSONResponse({"model": model.name, "alternatives": [asdict(one) for one in found]})

    async def score(self, request: Request, body: ToScore) -> JSONResponse:
        """Return the log-probability of each target, given its source."""
        model = self._open(request, body)
        translator = model.require_run("score")
        self._service.require_short([text for pair in body.pairs for text in pair])
        work = self._service.run_pairs(
            f"score {model.name}",
            body.pairs,
            lambda pairs: list(map(_score, translator.score(pairs))),
        )
        scores = await self._service.answer(request, work)
        return JSONResponse({"model": model.name, "scores": scores})

    async def align(self, request: Request, body: ToScore) -> JSONResponse:
        """Return the attention of each pair: words, weights `[target source]`, links, a view."""
        model = self._open(request, body)
        translator = model.require_run("align")
        if not model.has_attention:
            raise refuse(400, f"align: {model.name} has no attention; use a model with attention")
        self._service.require_short([text for pair in body.pairs for text in pair])

        work = self._service.run_pairs(
            f"align {model.name}",
            body.pairs,
            lambda pairs: list(translator.align(pairs, with_scores=True)),
        )
        found = await self._service.answer(request, work)

        def write() -> JSONResponse:
            rows = zip(found, body.pairs, strict=True)
            return JSONResponse(
                {
                    "model": model.name,
                    "alignments": [
                        _alignment(model, one, pair, number)
                        for number, (one, pair) in enumerate(rows, start=1)
                    ],
                }
            )

        return await to_thread(write)

    async def trace(self, request: Request, body: ToTrace) -> Response:
        """Return the whole computation of one sentence."""
        model = self._open(request, body)
        _require_line(body.text, "text")
        self._service.require_short([body.text, body.prefix])
        if model.kind == "exported":
            if body.prefix:
                model.require_run("prefix")
            lines = [Input(body.text)]
            translating = self._service.translate_lines(model, lines, SearchOptions())
            (translation,) = await self._service.answer(request, translating)
            return _write_trace(Trace.of_exported(body.text, translation), body, model.languages)
        translator = model.require_run("trace")
        work = self._service.run(
            lambda _: _write_trace(
                translator.trace(body.text, prefix=body.prefix), body, model.languages
            )
        )
        return await self._service.answer(request, work)

    def _open(self, request: Request, body: schemas.Strict) -> ServedModel:
        """Check the key, and return the model that a body names."""
        self._service.require_key(request, body.api_key)
        return self._service.find_model(body.model)

    async def _translate_prefix(
        self,
        request: Request,
        body: schemas.Translation,
        model: ServedModel,
        texts: list[str],
        search: SearchOptions,
    ) -> tuple[str, Translation]:
        """Return a single line with its translation, which starts with the prefix."""
        model.require_run("prefix")
        if len(texts) != 1 or body.format != "text":
            raise refuse(400, "prefix: needs one plain text; send one, or leave it out")
        _require_line(texts[0], "text")
        _require_line(body.prefix, "prefix")
        work = self._service.translate_lines(model, [Input(texts[0], body.prefix)], search)
        (translation,) = await self._service.answer(request, work)
        return texts[0], translation


def _segment(
    model: ServedModel, line: tuple[str, Translation], body: schemas.Translation, number: int
) -> dict[str, Any]:
    source, translation = line
    segment: dict[str, Any] = {
        "source": source,
        "hypotheses": list(_hypotheses(model, translation)),
    }
    if body.views:
        view = view_of_translation(translation, number, source, languages=model.languages)
        segment["view"] = view.to_json()
    return segment


def _alignment(
    model: ServedModel, alignment: SentenceAlignment, pair: Pair, number: int
) -> dict[str, Any]:
    view = view_of_alignment(alignment, number, pair=pair, languages=model.languages)
    return {
        "source_words": alignment.source_words,
        "target_words": alignment.target_words,
        "weights": [[short(float(weight)) for weight in row] for row in alignment.weights],
        "links": sorted(alignment.links),
        "view": view.to_json(),
    }


def _score(score: SentenceScore) -> dict[str, Any]:
    return {
        "log_probability": short(score.log_probability),
        "perplexity": short(score.perplexity),
        "tokens": score.tokens,
        "token_log_probabilities": list(map(short, score.token_log_probabilities)),
    }


def _write_trace(trace: Trace, body: schemas.Tracing, languages: tuple[str, str]) -> Response:
    if body.arrays:
        return Response(trace.to_json(), media_type="application/json")
    return JSONResponse(trace.view(languages=languages))


def _hypotheses(model: ServedModel, translation: Translation) -> "list[dict[str, Any]]":
    of_tokens = translation.token_log_probabilities
    rows = []
    for place, (text, one) in enumerate(
        zip(translation.texts, translation.hypotheses, strict=True)
    ):
        row: dict[str, Any] = {
            "text": text,
            "score": short(one.score),
            "log_probability": short(one.log_probability),
            "tokens": model.pieces(one.tokens),
        }
        if of_tokens is not None:
            row["token_log_probabilities"] = [short(value) for value in of_tokens[place]]
        rows.append(row)
    return rows


def _describe(model: ServedModel) -> dict[str, Any]:
    source, target = model.languages
    return {
        "name": model.name,
        "kind": model.kind,
        "source": {"code": source, "name": name_of(source)},
        "target": {"code": target, "name": name_of(target)},
        "beam_size": model.own_beam_size,
        "has_attention": model.has_attention,
    }


def _require_line(text: str, name: str) -> None:
    if name == "text" and not text.strip():
        raise refuse(400, f"{name}: is blank; send a text of at least one word")
    if len(text.splitlines()) > 1:
        raise refuse(400, f"{name}: must be a single line; send each line on its own")
