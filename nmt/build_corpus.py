"""From the options of a corpus to where it is; imports no torch, which takes seconds."""

from pathlib import Path

from nmt.config import CorpusConfig
from nmt.data.corpus import ParallelFiles
from nmt.data.grids import read_grids


def build_corpus(corpus: CorpusConfig) -> ParallelFiles:
    """Where a configured corpus is."""
    alignments = None if corpus.alignments is None else Path(corpus.alignments)
    if corpus.tsv is not None:
        return ParallelFiles(Path(corpus.tsv), alignments=alignments)
    if corpus.grids is not None and corpus.target is not None:
        return ParallelFiles(Path(corpus.grids), Path(corpus.target), read_source=read_grids)
    assert corpus.source is not None and corpus.target is not None
    return ParallelFiles(Path(corpus.source), Path(corpus.target), alignments)
