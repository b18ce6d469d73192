"""The models of a server: trained runs and exported files behind one interface."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Final

from nmt.core.errors import UserError
from nmt.inference.inputs import Input
from nmt.inference.translation import ExtraOutputs, Translation

if TYPE_CHECKING:
    from nmt.config.decoding import DecodingConfig
    from nmt.export.exported_translator import ExportedTranslator
    from nmt.inference.translator import Translator

_MOST_SEARCHES: Final = 8  # other beam sizes of a model that are kept


@dataclass(frozen=True)
class SearchOptions:
    """Options of one request for translations.

    Attributes:
        beam_size: None: that of the model.
        n_best: translations of each line.
        alignments: with the attention.
        token_scores: with the log-probability of each token.
    """

    beam_size: int | None = None
    n_best: int = 1
    alignments: bool = False
    token_scores: bool = False


@dataclass(frozen=True, eq=False)
class ServedModel(ABC):
    """A model with a name and its languages.

    Attributes:
        kind: run or exported.
        has_attention: whether it can show attention.
        name: unique in the server.
        languages: normalized tags of source and target.
    """

    kind: ClassVar[str]

    name: str
    languages: tuple[str, str]

    @property
    @abstractmethod
    def has_attention(self) -> bool:
        """Return whether translations can have alignments."""

    @property
    @abstractmethod
    def own_beam_size(self) -> int:
        """Return the beam size without options."""

    @property
    def requirable(self) -> Callable[[str], bool] | None:
        """Return which numbers a translation can be required to have; None: no numbers."""
        return None

    @abstractmethod
    def translate(
        self, lines: list[Input], options: SearchOptions, check: Callable[[], None] = lambda: None
    ) -> list[Translation]:
        """Translate lines.

        Args:
            lines: to translate.
            options: of the search.
            check: called after each batch of the model; it raises if nobody waits any more.
        """

    @abstractmethod
    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """Return target tokens for display."""

    @abstractmethod
    def require_run(self, what: str) -> "Translator":
        """Return the translator of a run.

        Args:
            what: needs a run; for messages.

        Raises:
            UserError: the model is an exported file.
        """

    def search_of(self, options: SearchOptions) -> tuple[int, int] | None:
        """Return beam size and number of translations; None: those of the model itself."""
        if options.beam_size is None and options.n_best == 1:
            return None
        return max(options.beam_size or self.own_beam_size, options.n_best), options.n_best


@dataclass(frozen=True, eq=False)
class ServedRun(ServedModel):
    """A trained run.

    Attributes:
        translator: of the run.
        decoding: its options.
    """

    kind: ClassVar[str] = "run"

    translator: "Translator"
    decoding: "DecodingConfig"
    _others: dict[tuple[int, int], "Translator"] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def has_attention(self) -> bool:
        """Return whether the model has attention."""
        return self.translator.has_attention

    @property
    def own_beam_size(self) -> int:
        """Return the beam size of the run."""
        return self.decoding.beam_size

    @property
    def requirable(self) -> Callable[[str], bool] | None:
        """Return which numbers a translation can be required to have; None: no numbers."""
        from nmt.inference.documents import requirable_numbers

        return requirable_numbers(self.translator)

    def translate(
        self, lines: list[Input], options: SearchOptions, check: Callable[[], None] = lambda: None
    ) -> list[Translation]:
        """Translate lines with the search that the options ask for."""
        size = self.search_of(options)
        translator = self.translator if size is None else self._with_search(*size)
        extra = ExtraOutputs(
            alignments=options.alignments and self.has_attention, token_scores=options.token_scores
        )
        windows = translator.translate_windows(lines, extra, report=lambda _: check())
        return [translation for window in windows for _, translation in window]

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """Return target tokens for display."""
        return self.translator.target_tokenizer.pieces(tokens)

    def require_run(self, what: str) -> "Translator":
        """Return the translator."""
        return self.translator

    def _with_search(self, beam_size: int, n_best: int) -> "Translator":
        """Return a translator with another beam; the last eight sizes are kept."""
        from nmt.inference.loading import build_search

        with self._lock:
            key = beam_size, n_best
            if key not in self._others:
                decoding = self.decoding.with_beam(beam_size).model_copy(update={"n_best": n_best})
                search = build_search(decoding, self.translator.target_tokenizer)
                runner = replace(self.translator.runner, search=search)
                while len(self._others) >= _MOST_SEARCHES:
                    del self._others[next(iter(self._others))]
                self._others[key] = replace(self.translator, runner=runner, reranker=None)
            return self._others[key]


@dataclass(frozen=True, eq=False)
class ServedFile(ServedModel):
    """A file of `nmt export`."""

    kind: ClassVar[str] = "exported"

    translator: "ExportedTranslator"

    @property
    def has_attention(self) -> bool:
        """Return False: the weights stay inside the graph."""
        return False

    @property
    def own_beam_size(self) -> int:
        """Return the beam size of the file."""
        return self.translator.beam_size

    def translate(
        self, lines: list[Input], options: SearchOptions, check: Callable[[], None] = lambda: None
    ) -> list[Translation]:
        """Translate lines, which have no constraints: those need `require_run`."""
        translator = self.translator
        if size := self.search_of(options):
            most = translator.description.max_beam_size
            beam_size, n_best = (min(number, most) for number in size)
            translator = replace(translator, beam_size=beam_size, n_best=n_best)
        texts = [str(line.source) for line in lines]
        windows = translator.translate_windows(texts, report=lambda _: check())
        return [translation for window in windows for _, translation in window]

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """Return target tokens for display."""
        return self.translator.target_tokenizer.pieces(tokens)

    def require_run(self, what: str) -> "Translator":
        """Refuse what an exported file cannot do."""
        raise UserError(
            f"{what}: {self.name} is an exported file, which only translates; serve its run for it"
        )


class ModelRegistry:
    """The models of a server, by name and by direction.

    Args:
        models: at least one, with different names.
    """

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self.models: Mapping[str, ServedModel] = {model.name: model for model in models}
        self.first = models[0]

    @property
    def source_languages(self) -> list[str]:
        """Return the languages that can be translated from, in the order of the models."""
        return list(dict.fromkeys(model.languages[0] for model in self.models.values()))

    @property
    def target_languages(self) -> list[str]:
        """Return the languages that can be translated to, in the order of the models."""
        return list(dict.fromkeys(model.languages[1] for model in self.models.values()))

    def targets_of(self, source: str) -> list[str]:
        """Return the languages that a language can be translated to."""
        pairs = (model.languages for model in self.models.values())
        return list(dict.fromkeys(target for tag, target in pairs if tag == source))

    def find(self, source: str, target: str) -> ServedModel | None:
        """Return the first model of a direction, in tags of models; None: there is none."""
        directions = (
            model for model in self.models.values() if model.languages == (source, target)
        )
        return next(directions, None)
