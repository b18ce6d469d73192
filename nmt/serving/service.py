"""Parts that the routes share: models, queue, limits on texts, and waiting for results."""

import asyncio
import logging
import traceback
from asyncio import to_thread
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from fastapi import HTTPException, Request

from nmt.core.errors import RunError, UserError, explain_system_error
from nmt.inference.documents import DocumentOptions, DocumentResult, translate_document
from nmt.inference.inputs import Input, Pair
from nmt.inference.translation import Translation
from nmt.serving.batching import Batcher, Check
from nmt.serving.languages import Detector
from nmt.serving.metrics import Metrics
from nmt.serving.models import ModelRegistry, SearchOptions, ServedModel
from nmt.serving.options import ServeOptions
from nmt.serving.schemas import refuse

T = TypeVar("T")
_CLIENT_LEFT: Final = 499  # nobody reads this answer

logger = logging.getLogger(__name__)


class Service:
    """The models and everything that computes with them.

    Args:
        models: to serve.
        options: of the server.
    """

    def __init__(self, models: ModelRegistry, options: ServeOptions) -> None:
        self.models = models
        self.options = options
        self.metrics = Metrics()
        self.detector = Detector(models.source_languages)
        self.batcher = Batcher(options.num_threads, options.batch_window, self.metrics.add_batch)
        self._num_failed = 0

    def require_key(self, request: Request, of_body: str | None, *, missing: int = 401) -> None:
        """Refuse a request without a valid key, if the server has keys.

        Args:
            request: its headers may have the key.
            of_body: the key in its body.
            missing: status of the answer if there is no key.
        """
        if not self.options.api_keys:
            return
        bearer = request.headers.get("authorization", "")
        of_header = bearer[7:] if bearer[:7].lower() == "bearer " else None
        given = of_body or request.headers.get("x-api-key") or of_header
        if not given:
            raise refuse(missing, "API key: missing; send api_key, X-API-Key or Authorization")
        if not self.options.accepts_key(given):
            raise refuse(403, "Invalid API key")

    def find_model(self, name: str | None) -> ServedModel:
        """Return a model by its name; the first one without a name."""
        if name is None:
            return self.models.first
        if name not in self.models.models:
            names = ", ".join(self.models.models)
            raise refuse(400, f"model: {name[:80]!r} is not served; choose from {names}")
        return self.models.models[name]

    def document_options(self, form: str, *, splits: bool = True) -> DocumentOptions:
        """Return how a text is read: as html or text, in sentences if the server allows it."""
        return DocumentOptions(
            "html" if form == "html" else "text",
            splits=splits and self.options.splits,
            protects=self.options.protects,
        )

    def require_short(self, texts: Sequence[str]) -> None:
        """Refuse texts that are too long together."""
        if excess := self.find_excess(texts):
            number, most, unit = excess
            message = f"text: {number:,} {unit}, above {most:,}; send it in several requests"
            raise refuse(413, message)

    def find_excess(self, texts: Sequence[str]) -> tuple[int, int, str] | None:
        """Return size, limit and unit of texts that are too long together; None: they are not."""
        sizes = (
            (sum(map(len, texts)), self.options.max_characters, "characters"),
            (sum(len(text.splitlines()) for text in texts), self.options.max_lines, "lines"),
        )
        return next((size for size in sizes if size[0] > size[1]), None)

    async def answer(self, request: Request, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of the work for a request, unless its client leaves or time is over."""
        task = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait(
                {task, gone},
                timeout=self.options.timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if task.done():
                return self._result(task)
            if gone.done():
                raise refuse(_CLIENT_LEFT, "client: left before the answer; ask again")
            message = f"server: no answer after {self.options.timeout:g} s; try a shorter text"
            raise refuse(503, message, retry_after=1)
        finally:
            for one in (task, gone):
                one.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    def _result(self, task: "asyncio.Future[T]") -> T:
        try:
            return task.result()
        except RunError as error:
            raise self.fail(error) from None
        except (HTTPException, UserError):
            raise
        except Exception as error:
            reason = explain_system_error(error)
            if reason is not None:
                logger.error("a request failed: %s", reason)
                raise refuse(503, "server: out of memory; try later", retry_after=5) from None
            raise self.fail(error) from None

    def fail(self, error: Exception) -> HTTPException:
        """Log an error of ours; its message may have texts of users, its places have none."""
        self._num_failed += 1
        if self.options.logs_texts:
            details = "".join(traceback.format_exception(error))
        else:
            frames = traceback.extract_tb(error.__traceback__)
            places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
            details = f"{type(error).__name__} at {places}"
        logger.error("internal error %d: %s", self._num_failed, details)
        message = f"server: internal error {self._num_failed}; its log has the details"
        return refuse(500, message)

    async def run(self, function: Callable[[Check], T]) -> T:
        """Return the result of a function that computes with a model, in a thread of the queue.

        Args:
            function: is given a check to call from time to time (see `Batcher`).
        """
        (result,) = await asyncio.wrap_future(self.batcher.run(function))
        return result

    async def run_pairs(
        self, key: str, pairs: Sequence[Pair], function: Callable[[list[Pair]], Sequence[T]]
    ) -> list[T]:
        """Return a result for each pair, computed in pieces, between which other requests pass.

        Args:
            key: of the function and its model.
            pairs: of source and target.
            function: returns the results of some pairs.
        """
        return await asyncio.wrap_future(
            self.batcher.submit(pairs, key, lambda some, check: function(some))
        )

    async def translate_lines(
        self, model: ServedModel, lines: Sequence[Input], search: SearchOptions
    ) -> list[Translation]:
        """Return the translations of lines, computed together with those of other requests."""
        found = await asyncio.wrap_future(
            self.batcher.submit(
                lines,
                (model.name, search),
                lambda batch, check: model.translate(batch, search, check),
            )
        )
        self.metrics.add_lines(model.name, len(lines))
        return found

    async def translate_texts(
        self,
        model: ServedModel,
        texts: Sequence[str],
        search: SearchOptions,
        document: DocumentOptions,
    ) -> list["TranslatedText"]:
        """Return the translations of texts of any number of lines."""
        document = replace(document, language=model.languages[0], requirable=model.requirable)
        rounds = await to_thread(lambda: [_Rounds(text, document) for text in texts])
        while asking := [one for one in rounds if one.result is None]:
            lines = [line for one in asking for line in one.lines]
            found = iter(await self.translate_lines(model, lines, search))
            await to_thread(_send_all, asking, found)
        return [
            TranslatedText(one.text, one.result, document, one.memory)
            for one in rounds
            if one.result is not None
        ]

    def close(self) -> None:
        """End the threads."""
        self.batcher.close()


def _send_all(rounds: Sequence["_Rounds"], translations: Iterator[Translation]) -> None:
    for one in rounds:
        one.send([next(translations) for _ in one.lines])


class _Rounds:
    """A document that is being translated.

    Attributes:
        text: of the document.
        lines: to translate in this round.
        memory: the translation of each line so far.
        result: None: there are further rounds.
    """

    def __init__(self, text: str, options: DocumentOptions) -> None:
        self.text = text
        self.lines: list[Input] = []
        self.memory: dict[Input, Translation] = {}
        self.result: DocumentResult | None = None
        self._rounds = translate_document(text, options)
        self._advance(lambda: next(self._rounds))

    def send(self, translations: list[Translation]) -> None:
        """Take the translations of the lines of this round."""
        self.memory.update(zip(self.lines, translations, strict=True))
        self._advance(lambda: self._rounds.send(translations))

    def _advance(self, step: Callable[[], list[Input]]) -> None:
        try:
            self.lines = step()
        except StopIteration as end:
            self.result = end.value


@dataclass(frozen=True)
class TranslatedText:
    """A text with its translation, and those of its parts.

    Attributes:
        source: the text.
        result: its translation.
        document: how it was read.
        memory: the translation of each line that was asked for.
    """

    source: str
    result: DocumentResult
    document: DocumentOptions
    memory: dict[Input, Translation]

    def alternatives(self, number: int) -> list[str]:
        """Return up to `number` other texts, of the next best translations of all lines."""
        texts = [self.result.text]
        for rank in range(1, number + 1):
            text = self._with_rank(rank)
            if text is not None and text not in texts:
                texts.append(text)
        return texts[1:]

    def _with_rank(self, rank: int) -> str | None:
        """Return the text of the translations of this rank; None: it asks for other lines."""
        rounds = _Rounds(self.source, self.document)
        while rounds.result is None and all(line in self.memory for line in rounds.lines):
            rounds.send([_choose(self.memory[line], rank) for line in rounds.lines])
        return None if rounds.result is None else rounds.result.text


def _choose(translation: Translation, rank: int) -> Translation:
    place = min(rank, len(translation.texts) - 1)
    return replace(
        translation,
        texts=(translation.texts[place],),
        hypotheses=(translation.hypotheses[place],),
    )


async def _left(request: Request) -> None:
    """Return when the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
