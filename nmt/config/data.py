"""Options of the corpora."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    model_serializer,
    model_validator,
)

from nmt.config.messages import refuse
from nmt.config.registry import CORPORA, Options, PlugIn
from nmt.config.values import NumProcesses, PathText, Positive, PositiveStrength, is_unset
from nmt.core.languages import language_of_file, normalize_tag
from nmt.word_alignment.units import AlignmentUnits

# Options that a dumped configuration always contains.
_NOT_GIVEN: Final = (("source", None), ("target", None), ("tsv", None), ("grids", None))
_DEFAULT_FORMAT: Final = "text"


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class CorpusConfig(PlugIn):
    """A corpus; `name` is its format, and the remaining keys are the options of the format.

    Attributes:
        name: Name of the format; may be left out if an option has the same name, and for text.
        alignments: Word alignments of the pairs, line for line (Pharaoh: `0-0 1-2`), for guided
            attention.
        alignment_units: Units that the links of `alignments` index. With auto, words of scripts
            without spaces are split into characters, as `nmt align` does.
        weight: Number of times that an epoch sees the corpus; 0.5: a random half of it.
    """

    name: str = _DEFAULT_FORMAT
    alignments: PathText | None = None
    alignment_units: AlignmentUnits = "words"
    weight: PositiveStrength = 1.0

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, given: Any) -> Any:
        given = super()._expand(given)  # type: ignore[operator]
        if not isinstance(given, dict):
            return given
        found = {key: given[key] for key in given if (key, given[key]) not in _NOT_GIVEN}
        formats = [key for key in ("source", *CORPORA.names) if key in found]
        if len(formats) > 1 and "name" not in found:
            refuse("", f"{' and '.join(formats)} cannot be combined; set all but one to null")
        return {"name": _infer_format(found), **found}

    @model_serializer
    def _dump(self) -> dict[str, Any]:
        options = {**dict(_NOT_GIVEN), **dict(self)}
        if self.name == _infer_format(self.options):
            del options["name"]
        return options

    def files(self) -> dict[str, str]:
        """Return the files of the corpus by option name."""
        names = [*CORPORA.find(self.name).file_options(), "alignments"]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def _check(self) -> None:
        if self.alignments is None and self.alignment_units != "words":
            sentence = "is only supported with alignments; set them too, or leave it out"
            refuse("alignment_units", sentence)


def _infer_format(options: dict[str, Any]) -> str:
    """Return the format with the name of an option, as in `tsv: FILE`, or the default."""
    return next((name for name in CORPORA.names if name in options), _DEFAULT_FORMAT)


def _as_tag(text: str) -> str:
    try:
        return normalize_tag(text)
    except ValueError as error:
        refuse("", str(error))


Language = Annotated[str, AfterValidator(_as_tag)]


class FilterConfig(Options):
    """Filters of training pairs; the pairs that each filter removes are counted and reported.

    Attributes:
        max_length: Maximum length of each side in tokens (for grids: cells).
        max_length_ratio: Maximum ratio of the longer side to the shorter one, in tokens; null: no
            limit.
        deduplicate: Keep only the first of identical pairs, across all training corpora.
    """

    max_length: Positive = 100
    max_length_ratio: Annotated[float, Field(ge=1.0, le=1_000.0)] | None = None
    deduplicate: bool = False


class DataConfig(Options):
    """The corpora.

    Attributes:
        train: One corpus or a list of them.
        valid: Validation set, for the loss, the metrics and early stopping.
        test: Test set, scored once when training ends.
        filters: Training pairs to leave out.
        cache: Folder for the encoded corpora, shared between runs; null: inside the run.
        encoding_processes: Processes that encode a large corpus; null: one per core, up to 8
            (grids: 1). With 1, the main process encodes.
        num_processes: Processes that sample the subwords of a corpus when an epoch starts; 0:
            sample in the main process. Under torchrun each rank starts its own.
        source_language: BCP 47 tag of the source language, such as en or pt-BR, for `nmt serve`;
            null: the suffix of the first training file, as in train.en.
        target_language: BCP 47 tag of the target language; null: the suffix of the first training
            file.
    """

    train: Annotated[
        list[Annotated[CorpusConfig, CORPORA]], BeforeValidator(_as_list), Field(min_length=1)
    ]
    valid: Annotated[CorpusConfig, CORPORA] | None = None
    test: Annotated[CorpusConfig, CORPORA] | None = None
    filters: FilterConfig = Field(default_factory=FilterConfig)
    cache: PathText | None = None
    encoding_processes: NumProcesses | None = None
    num_processes: NumProcesses = 0
    source_language: Language | None = Field(default=None, exclude_if=is_unset)
    target_language: Language | None = Field(default=None, exclude_if=is_unset)

    def languages(self) -> tuple[str | None, str | None]:
        """Return the tags of source and target; None: neither an option nor a suffix names it."""
        files = self.train[0].files()
        given = {"source": self.source_language, "target": self.target_language}
        source, target = (
            tag or (language_of_file(files[side]) if side in files else None)
            for side, tag in given.items()
        )
        return source, target

    def training_corpora(self) -> Iterator[tuple[str, CorpusConfig]]:
        """Yield each training corpus with its key, as a configuration most likely writes it."""
        for number, corpus in enumerate(self.train):
            yield ("data.train" if len(self.train) == 1 else f"data.train[{number}]"), corpus

    def held_out(self) -> Iterator[tuple[str, CorpusConfig]]:
        """Yield the validation and test sets that are configured, each with its key."""
        for key, corpus in (("data.valid", self.valid), ("data.test", self.test)):
            if corpus is not None:
                yield key, corpus

    def corpora(self) -> Iterator[tuple[str, CorpusConfig]]:
        """Yield all configured corpora, each with its key."""
        yield from self.training_corpora()
        yield from self.held_out()
