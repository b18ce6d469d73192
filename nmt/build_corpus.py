"""From the options of a corpus to where it is; imports no torch, which takes seconds."""

from pathlib import Path
from typing import Any

from nmt.config import CorpusConfig
from nmt.data.corpus import Corpus, ParallelFiles
from nmt.data.grids import GridFiles


def build_corpus(corpus: CorpusConfig) -> Corpus[Any]:
    """Where a configured corpus is."""
    alignments = None if corpus.alignments is None else Path(corpus.alignments)
    if corpus.tsv is not None:
        return ParallelFiles(Path(corpus.tsv), alignments=alignments)
    assert corpus.target is not None
    if corpus.grids is not None:
        return GridFiles(Path(corpus.grids), Path(corpus.target), alignments)
    assert corpus.source is not None
    return ParallelFiles(Path(corpus.source), Path(corpus.target), alignments)
