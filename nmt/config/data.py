"""The options of the corpora."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from nmt.config.messages import refuse
from nmt.config.registry import NumProcesses, Options, PathText, Positive, PositiveStrength
from nmt.word_alignment.units import AlignmentUnits


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


_FILES = ("source", "grids", "target", "tsv", "alignments")


class CorpusConfig(Options):
    """Two files of text, one TSV file (plain, .gz, .bz2 or .xz), or grids and text."""

    source: PathText | None = None
    """File of source sentences, one a line."""
    target: PathText | None = None
    """File of target sentences, line for line."""
    tsv: PathText | None = None
    """One file instead of two: source, a tab, target."""
    grids: PathText | None = None
    """An .npz file of grids in place of source: a grid for each target line."""
    alignments: PathText | None = None
    """Word alignments of the pairs, line for line (Pharaoh: `0-0 1-2`), for guided attention."""
    alignment_units: AlignmentUnits = "words"
    """What the links of `alignments` count. With auto, words are split into characters where their
    script has no spaces, as `nmt align` does."""
    weight: PositiveStrength = 1.0
    """How often the corpus is seen: 2 is twice an epoch, 0.5 every other epoch."""

    def files(self) -> dict[str, str]:
        """Return every file of the corpus by its option."""
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
    """What training pairs are left out; each reason is counted and reported."""

    max_length: Positive = 100
    """Most tokens a side (after the tokenizer); of a grid, cells."""
    max_length_ratio: Annotated[float, Field(ge=1.0, le=1_000.0)] | None = None
    """Most tokens of one side for each token of the other; null: any."""
    deduplicate: bool = False
    """Keep only the first of identical pairs, in whichever of the corpora it is."""


class DataConfig(Options):
    """The corpora."""

    train: Annotated[list[CorpusConfig], BeforeValidator(_as_list), Field(min_length=1)]
    """One corpus or a list of them."""
    valid: CorpusConfig | None = None
    """What training is steered by: loss, metrics, early stopping."""
    test: CorpusConfig | None = None
    """Scored once, when training ends."""
    filters: FilterConfig = Field(default_factory=FilterConfig)
    """Training pairs to leave out."""
    cache: PathText | None = None
    """Folder for the encoded corpora, shared between runs; null: inside the run."""
    encoding_processes: NumProcesses | None = None
    """Processes that encode a large corpus; null: as many as cores, up to 8 (grids: 1); 1: none."""
    num_processes: NumProcesses = 0
    """Processes that sample the subwords of a corpus when an epoch starts; 0: none. Under torchrun
    each process has its own."""

    def training_corpora(self) -> Iterator[tuple[str, CorpusConfig]]:
        """Yield those of `train`, each with its key as it is most likely written."""
        for number, corpus in enumerate(self.train):
            yield ("data.train" if len(self.train) == 1 else f"data.train[{number}]"), corpus

    def held_out(self) -> Iterator[tuple[str, CorpusConfig]]:
        """Yield those of `valid` and `test` that there are, each with its key."""
        for key, corpus in (("data.valid", self.valid), ("data.test", self.test)):
            if corpus is not None:
                yield key, corpus

    def corpora(self) -> Iterator[tuple[str, CorpusConfig]]:
        """Yield all that there are, each with its key."""
        yield from self.training_corpora()
        yield from self.held_out()
