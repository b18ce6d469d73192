"""Options of the corpora."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from nmt.config.messages import refuse
from nmt.config.registry import Options
from nmt.config.values import NumProcesses, PathText, Positive, PositiveStrength
from nmt.word_alignment.units import AlignmentUnits


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


_FILES = ("source", "grids", "target", "tsv", "alignments")


class CorpusConfig(Options):
    """Two files of text, one TSV file (plain, .gz, .bz2 or .xz), or grids and text."""

    source: PathText | None = None
    """File of source sentences, one per line."""
    target: PathText | None = None
    """File of target sentences, line for line."""
    tsv: PathText | None = None
    """TSV file with source and target columns, instead of two files."""
    grids: PathText | None = None
    """An .npz file with one grid per target line, instead of source."""
    alignments: PathText | None = None
    """Word alignments of the pairs, line for line (Pharaoh: `0-0 1-2`), for guided attention."""
    alignment_units: AlignmentUnits = "words"
    """Units that the links of `alignments` index. With auto, words of scripts without spaces are
    split into characters, as `nmt align` does."""
    weight: PositiveStrength = 1.0
    """Times the corpus is seen per epoch; with 0.5, each epoch sees a random half of it."""

    def files(self) -> dict[str, str]:
        """Return the files of the corpus by option name."""
        return {option: name for option in _FILES if (name := getattr(self, option)) is not None}

    def _check(self) -> None:
        given = [option for option in self.files() if option != "alignments"]
        if given not in (["source", "target"], ["grids", "target"], ["tsv"]):
            sentence = "needs source and target, grids and target, or only tsv; given: "
            refuse("", sentence + (", ".join(given) or "none"))
        if self.alignments is None and self.alignment_units != "words":
            sentence = "is only supported with alignments; set these too, or leave it out"
            refuse("alignment_units", sentence)


class FilterConfig(Options):
    """Filters of training pairs; the pairs that each filter removes are counted and reported."""

    max_length: Positive = 100
    """Maximum length of each side in tokens (for grids: cells)."""
    max_length_ratio: Annotated[float, Field(ge=1.0, le=1_000.0)] | None = None
    """Maximum ratio of the longer side to the shorter one, in tokens; null: no limit."""
    deduplicate: bool = False
    """Keep only the first of identical pairs, across all training corpora."""


class DataConfig(Options):
    """The corpora."""

    train: Annotated[list[CorpusConfig], BeforeValidator(_as_list), Field(min_length=1)]
    """One corpus or a list of them."""
    valid: CorpusConfig | None = None
    """Validation set, for the loss, the metrics and early stopping."""
    test: CorpusConfig | None = None
    """Test set, scored once when training ends."""
    filters: FilterConfig = Field(default_factory=FilterConfig)
    """Training pairs to leave out."""
    cache: PathText | None = None
    """Folder for the encoded corpora, shared between runs; null: inside the run."""
    encoding_processes: NumProcesses | None = None
    """Processes that encode a large corpus; null: one per core, up to 8 (grids: 1). With 1, the
    main process encodes."""
    num_processes: NumProcesses = 0
    """Processes that sample the subwords of a corpus when an epoch starts; 0: sample in the main
    process. Under torchrun each rank starts its own."""

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
