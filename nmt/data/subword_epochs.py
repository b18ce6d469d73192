"""Subword sampling: the tokens of a whole epoch, drawn before it starts.

Before, because batches are made by the length of what was drawn: batched by the lengths without
sampling, a third of a batch would be padding. Where that is set, by other processes: to draw takes
Python, and a thread of it would hold up the one that trains.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import numpy as np

from nmt.core.errors import DataError
from nmt.data.encoded_corpus import EncodedCorpus
from nmt.data.ragged import RaggedArray, temporary_ragged
from nmt.distributed.worker_pool import WorkerPool

_BLOCK: Final = 2048  # pairs


@dataclass(frozen=True)
class EpochTokens:
    """N sentence pairs as one epoch sees them.

    Attributes:
        source: N rows of source tokens, without EOS.
        target: N rows of target tokens, without BOS and EOS.
    """

    source: RaggedArray
    target: RaggedArray


class SubwordEpoch:
    """Draws the tokens of one epoch; starts at once where processes do it.

    What is drawn depends on the seed, the epoch and the pair only, not on the processes. It lies
    in files without a name in the folder of the cache, which are gone when nobody uses them.

    Args:
        corpus: what to draw from; if its tokenizers do not sample, it is given back as it is.
        seed: of the run.
        epoch: which pass over the data.
        num_processes: that draw in the background; 0: `result` draws.
    """

    def __init__(self, corpus: EncodedCorpus, seed: int, epoch: int, num_processes: int) -> None:
        self._corpus = corpus
        self._seed = seed
        self._epoch = epoch
        self._workers: WorkerPool[EncodedCorpus] | None = None
        self._future: Future[EpochTokens] = Future()
        if corpus.samples and num_processes > 0:
            self._workers = WorkerPool(
                corpus,
                num_processes,
                jobs_ahead=2,
                name="a process that draws subwords",
                remedy="set data.num_processes to a smaller number; 0 starts none",
            ).__enter__()
            # A daemon, so that a program that ends does not wait for an epoch that will not be.
            threading.Thread(target=self._receive, args=(self._workers,), daemon=True).start()

    def result(self) -> EpochTokens:
        """The tokens; waits until they are there.

        Raises:
            DataError: there is no room for them.
            TransientError: a process has died.
        """
        if not self._corpus.samples:
            return EpochTokens(self._corpus.source_side.tokens, self._corpus.target_side.tokens)
        if self._workers is None:
            return self._collect(_draw(self._corpus, *job) for job in self._jobs())
        return self._future.result()

    def cancel(self) -> None:
        """End the processes; there is no result then."""
        if self._workers is not None:
            self._workers.terminate()
            self._future.exception()  # waits; that the processes were ended is no news

    def _receive(self, workers: WorkerPool[EncodedCorpus]) -> None:
        try:
            with ExitStack() as stack:
                stack.push(workers)
                tokens = self._collect(workers.map(_draw, self._jobs()))
            self._future.set_result(tokens)
        except Exception as error:
            self._future.set_exception(error)

    def _jobs(self) -> Iterator[tuple[int, int, int, int]]:
        for start in range(0, len(self._corpus), _BLOCK):
            yield start, min(start + _BLOCK, len(self._corpus)), self._seed, self._epoch

    def _collect(self, blocks: Iterator[EpochTokens]) -> EpochTokens:
        folder = self._corpus.folder.parent
        source_dtype = self._corpus.source_side.tokens.dtype
        target_dtype = self._corpus.target_side.tokens.dtype
        try:
            with (
                temporary_ragged(folder, source_dtype) as source,
                temporary_ragged(folder, target_dtype) as target,
            ):
                for block in blocks:
                    source.append(block.source)
                    target.append(block.target)
                return EpochTokens(source.mapped(), target.mapped())
        except OSError as error:
            raise DataError(
                f"{folder}: cannot write the sampled subwords of an epoch: {error.strerror}; make"
                " room or give permission there, or choose another folder for the cache"
            ) from error


def _draw(corpus: EncodedCorpus, start: int, end: int, seed: int, epoch: int) -> EpochTokens:
    return EpochTokens(*corpus.draw(np.arange(start, end), seed, epoch))
