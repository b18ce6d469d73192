"""Subword sampling of a whole epoch before it starts.

Batches are made by the sampled lengths. With the lengths of the unsampled tokens, a third of each
batch would be padding.
"""

from collections.abc import Iterable
from itertools import starmap
from typing import Final

import numpy as np

from nmt.core.errors import DataError
from nmt.data.encoded_corpus import EncodedCorpus, EpochTokens
from nmt.data.ragged import blocks, temporary_ragged
from nmt.distributed.worker_pool import WorkerPool

_BLOCK: Final = 2048  # pairs


def draw_epoch(corpus: EncodedCorpus, seed: int, epoch: int, num_processes: int = 0) -> EpochTokens:
    """Sample the tokens of one epoch; without sampling tokenizers, return the corpus's own tokens.

    The sample depends only on the seed, the epoch and the pair, not on the processes. It is kept in
    unnamed files in the folder of the cache, which are deleted when they are no longer in use.

    Args:
        corpus: the corpus to sample.
        seed: the seed of the run.
        epoch: the number of the epoch.
        num_processes: processes that sample; 0: sample in this process.

    Raises:
        DataError: the files cannot be written.
        TransientError: a process has died.
    """
    if not corpus.samples:
        return EpochTokens(corpus.source_side.tokens, corpus.target_side.tokens)
    rows = blocks(len(corpus), _BLOCK)
    jobs = ((np.arange(block.start, block.stop), seed, epoch) for block in rows)
    if num_processes == 0:
        return _collect(corpus, starmap(corpus.draw, jobs))
    with WorkerPool(
        corpus,
        num_processes,
        jobs_ahead=2,
        name="a subword sampling process",
        remedy="lower data.num_processes (0: no extra processes)",
    ) as workers:
        return _collect(corpus, workers.map(EncodedCorpus.draw, jobs))


def _collect(corpus: EncodedCorpus, blocks: Iterable[EpochTokens]) -> EpochTokens:
    folder = corpus.folder.parent
    try:
        with (
            temporary_ragged(folder, corpus.source_side.tokens.dtype) as source,
            temporary_ragged(folder, corpus.target_side.tokens.dtype) as target,
        ):
            for block in blocks:
                source.append(block.source)
                target.append(block.target)
            return EpochTokens(source.mapped(), target.mapped())
    except OSError as error:
        raise DataError(
            f"{folder}: cannot write the sampled subwords of an epoch ({error.strerror}); make "
            "room, change the permissions, or choose another folder for the cache"
        ) from error
