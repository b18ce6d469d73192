"""From the options of a corpus to where it is; imports no torch, which takes seconds."""

from pathlib import Path
from typing import Any

from nmt.config.experiment import CorpusConfig
from nmt.data.corpus import Corpus, ParallelFiles
from nmt.data.grids import GridFiles
from nmt.data.lines import MAX_LINE_BYTES


def build_corpus(corpus: CorpusConfig, max_line_bytes: int = MAX_LINE_BYTES) -> Corpus[Any]:
    """Return where a configured corpus is, and how long its lines may be."""
    alignments = None if corpus.alignments is None else Path(corpus.alignments)
    units = corpus.alignment_units
    if corpus.tsv is not None:
        return ParallelFiles(Path(corpus.tsv), None, alignments, max_line_bytes, units)
    assert corpus.target is not None
    if corpus.grids is not None:
        return GridFiles(Path(corpus.grids), Path(corpus.target), alignments, max_line_bytes, units)
    assert corpus.source is not None
    return ParallelFiles(
        Path(corpus.source), Path(corpus.target), alignments, max_line_bytes, units
    )
