"""Construction of corpora, encoded corpora and the loader of training batches from options."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from nmt.config.data import CorpusConfig
from nmt.config.experiment import Config
from nmt.config.registry import CORPORA, PlugIn
from nmt.data.batching import UNSHARDED, BatchSampler, Shard
from nmt.data.cache import encode_corpus
from nmt.data.encoded_corpus import EncodedCorpus
from nmt.data.filters import Filters
from nmt.data.formats.corpus import Corpus
from nmt.data.formats.lines import MAX_LINE_BYTES
from nmt.data.loader import DataLoader
from nmt.runs.run import RunDirectory
from nmt.system.process import num_cores
from nmt.text.reader import SourceReader

_MOST_PROCESSES: Final = 8  # the reading process cannot keep more of them busy

logger = logging.getLogger(__name__)


def build_corpus(corpus: CorpusConfig, max_line_bytes: int = MAX_LINE_BYTES) -> Corpus[Any]:
    """Return the corpus that the options describe, with a limit on the length of lines."""
    files = {option: Path(name) for option, name in corpus.files().items()}
    given = files.pop("alignments", None), corpus.alignment_units, max_line_bytes
    built: Corpus[Any] = CORPORA.create(PlugIn(name=corpus.name, **corpus.options | files), *given)
    return built


def build_loader(
    config: Config,
    corpora: Sequence[EncodedCorpus],
    batch_tokens: int | None,
    device: torch.device,
    shard: Shard = UNSHARDED,
) -> DataLoader:
    """Return the loader of the training batches.

    Args:
        config: the experiment.
        corpora: the result of `encode_training`.
        batch_tokens: maximum tokens per side of a batch; None: no limit.
        device: the device of the batches.
        shard: share of this process in each update.
    """
    sampler = BatchSampler(
        [len(corpus) for corpus in corpora],
        seed=config.seed,
        weights=[corpus.weight for corpus in config.data.train],
        batch_tokens=batch_tokens,
        batch_sentences=config.training.batch_sentences,
    )
    return DataLoader(
        corpora,
        sampler,
        seed=config.seed,
        accumulate=config.training.accumulate,
        shard=shard,
        pin_memory=device.type == "cuda",
        num_processes=config.data.num_processes,
    )


def encode_training(
    config: Config, run: RunDirectory, source: SourceReader[Any], target: SourceReader[str]
) -> list[EncodedCorpus]:
    """Return the training corpora from the cache, encoding missing ones; log the filtered pairs.

    Raises:
        DataError: a corpus cannot be used.
    """
    data = config.data
    files = [build_corpus(corpus) for corpus in data.train]
    corpora = [
        encode_corpus(
            corpus,
            source,
            target,
            filters=Filters(**dict(data.filters)),
            folder=run.cache if data.cache is None else Path(data.cache),
            num_processes=_num_encoding_processes(config),
            before=files[:number],
        )
        for number, corpus in enumerate(files)
    ]
    for corpus, encoded in zip(files, corpora, strict=True):
        logger.info("%s: %s", corpus, encoded.report)
    return corpora


def _num_encoding_processes(config: Config) -> int:
    if config.data.encoding_processes is not None:
        return config.data.encoding_processes
    if config.reads_grids:
        return 1  # sending grids to other processes takes longer than encoding them
    return min(num_cores(), _MOST_PROCESSES)
