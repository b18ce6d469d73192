"""The models of a server: trained runs and exported files behind one interface."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from nmt.core.errors import ConfigError, UserError
from nmt.core.languages import base_of, normalize_tag
from nmt.inference.inputs import Input
from nmt.inference.translation import Translation

if TYPE_CHECKING:
    from nmt.config.decoding import DecodingConfig
    from nmt.export.exported_translator import ExportedTranslator
    from nmt.inference.translator import Translator

_MOST_SEARCHES: Final = 8  # other beam sizes of a model that are kept


@dataclass(frozen=True)
class SearchOptions:
    """What a request asks of a translation.

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
    def translate(self, lines: list[Input], options: SearchOptions) -> list[Translation]:
        """Translate lines."""

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

    def translate(self, lines: list[Input], options: SearchOptions) -> list[Translation]:
        """Translate lines with the search that the options ask for."""
        size = self.search_of(options)
        translator = self.translator if size is None else self._with_search(*size)
        return translator.translate(
            lines,
            with_alignments=options.alignments and self.has_attention,
            with_token_scores=options.token_scores,
        )

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

    def translate(self, lines: list[Input], options: SearchOptions) -> list[Translation]:
        """Translate lines, which have no constraints: those need `require_run`."""
        translator = self.translator
        if size := self.search_of(options):
            most = translator.description.max_beam_size
            beam_size, n_best = (min(number, most) for number in size)
            translator = replace(translator, beam_size=beam_size, n_best=n_best)
        return translator.translate([str(line.source) for line in lines])

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


def match_tag(given: str, served: Sequence[str]) -> str | None:
    """Return the served tag that a client means: the same, or the only one of its language."""
    try:
        tag = normalize_tag(given)
    except ValueError:
        return None
    if tag in served:
        return tag
    of_language = [one for one in served if base_of(one) == base_of(tag)]
    return of_language[0] if len(of_language) == 1 else None


def open_models(
    paths: Sequence[str],
    languages: Sequence[str] = (),
    *,
    checkpoint: str = "best",
    device: str = "auto",
    precision: str | None = None,
) -> ModelRegistry:
    """Load runs and exported files.

    Args:
        paths: folders of runs, and files of `nmt export`.
        languages: directions for the models in their order, as in `en-de` or `zh-Hans:en`; empty:
            those that the models name.
        checkpoint: of the runs: best, last or step-N.
        device: of the runs.
        precision: of the runs; None: the training precision.

    Raises:
        UserError: a model cannot be opened, reads grids, or its languages are not known.
    """
    if languages and len(languages) != len(paths):
        raise ConfigError(
            f"--languages: given {len(languages)} times for {len(paths)} models; give it once for "
            "each model, in their order"
        )
    given: Sequence[tuple[str, str] | None] = list(map(split_direction, languages))
    given = given or [None] * len(paths)
    models: list[ServedModel] = []
    names: list[str] = []
    for path, direction in zip(paths, given, strict=True):
        names.append(_new_name(Path(path), names))
        if Path(path).is_dir():
            models.append(_open_run(path, names[-1], direction, checkpoint, device, precision))
        else:
            models.append(_open_file(path, names[-1], direction))
    return ModelRegistry(models)


def split_direction(text: str) -> tuple[str, str]:
    """Return the tags of `en-de`, or of `zh-Hans:en` if a tag has hyphens.

    Raises:
        ConfigError: the text is not a direction.
    """
    parts = text.split(":" if ":" in text else "-")
    if len(parts) != 2:
        raise ConfigError(f"--languages {text}: must name two languages, as en-de or zh-Hans:en")
    try:
        source, target = map(normalize_tag, parts)
    except ValueError as error:
        raise ConfigError(f"--languages {text}: {error}") from None
    return source, target


def _open_run(
    path: str,
    name: str,
    direction: tuple[str, str] | None,
    checkpoint: str,
    device: str,
    precision: str | None,
) -> ServedRun:
    from nmt.inference.translator import Translator
    from nmt.runs.run import Run
    from nmt.text.tokenizer import Tokenizer

    run = Run.open(path)
    direction = _require_languages(path, direction or run.config.data.languages())
    translator = Translator.from_run(run, checkpoint=checkpoint, device=device, precision=precision)
    if not isinstance(translator.source_reader, Tokenizer):
        raise ConfigError(f"{path}: reads grids, which are not served; use `nmt translate`")
    return ServedRun(name, direction, translator, run.config.decoding)


def _open_file(path: str, name: str, direction: tuple[str, str] | None) -> ServedFile:
    from nmt.export.exported_translator import ExportedTranslator

    translator = ExportedTranslator.open(path, num_threads=1)
    described = translator.description
    of_file = described.source_language, described.target_language
    return ServedFile(name, _require_languages(path, direction or of_file), translator)


def _require_languages(path: str, found: tuple[str | None, str | None]) -> tuple[str, str]:
    source, target = found
    if source is None or target is None:
        raise ConfigError(f"{path}: its languages are not known; give --languages en-de")
    return source, target


def _new_name(path: Path, names: Sequence[str]) -> str:
    """Return the name of a model: its folder's or file's, with a number if there is one already."""
    stem = path.stem if path.suffix == ".onnx" else path.resolve().name
    return next(
        name
        for name in chain([stem], (f"{stem}-{number}" for number in count(2)))
        if name not in names
    )
