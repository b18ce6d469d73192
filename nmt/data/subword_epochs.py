"""Subword sampling: the tokens of a whole epoch, drawn before it starts.

Before, because batches are made by the length of what was drawn: batched by the lengths without
sampling, a third of a batch would be padding. And, where that is asked for, by other processes: to
draw takes Python, and a thread of it would hold up the one that trains.
"""

import multiprocessing
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Final

import numpy as np

from nmt.core.errors import DataError
from nmt.data.encoded_corpus import EncodedCorpus, open_encoded
from nmt.data.ragged import RaggedArray, temporary_ragged
from nmt.text.reader import SourceReader

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

    What is drawn depends on the seed, the epoch and the pair alone: not on the processes. It lies
    in files without a name in the folder of the cache, which are gone when nobody uses them.

    Args:
        corpus: what to draw from; if its tokenizers do not sample, it is given back as it is.
        seed: of the run.
        epoch: which pass over the data.
        num_processes: that draw in the background; 0: it is done here, when it is asked for.
    """

    def __init__(self, corpus: EncodedCorpus, seed: int, epoch: int, num_processes: int) -> None:
        self._corpus = corpus
        self._seed = seed
        self._epoch = epoch
        self._workers: list[tuple[SpawnProcess, Connection]] = []
        self._future: Future[EpochTokens] | None = None
        if corpus.samples and num_processes > 0:
            self._workers = [self._start(each, num_processes) for each in range(num_processes)]
            self._future = Future()
            # A daemon, so that a program that ends does not wait for an epoch that will not be.
            threading.Thread(target=self._receive, args=(self._future,), daemon=True).start()

    def result(self) -> EpochTokens:
        """The tokens; waits until they are there.

        Raises:
            DataError: there is no room for them.
        """
        if not self._corpus.samples:
            return EpochTokens(self._corpus.source_side.tokens, self._corpus.target_side.tokens)
        if self._future is not None:
            return self._future.result()
        return self._collect(_blocks(self._corpus, self._seed, self._epoch, 0, 1))

    def cancel(self) -> None:
        """End the processes; there is no result then."""
        for process, _ in self._workers:
            process.terminate()
        if self._future is not None:
            self._future.exception()  # waits; that the processes were ended is no news

    def _start(self, number: int, step: int) -> tuple[SpawnProcess, Connection]:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks of our threads
        receiver, sender = context.Pipe(duplex=False)
        corpus = self._corpus
        process = context.Process(
            target=_work,
            args=(
                sender,
                corpus.folder,
                corpus.source_side.reader,
                corpus.target_side.reader,
                self._seed,
                self._epoch,
                number,
                step,
            ),
            daemon=True,
        )
        process.start()
        sender.close()  # or the end of the process would not be the end of the pipe
        return process, receiver

    def _receive(self, future: Future[EpochTokens]) -> None:
        try:
            future.set_result(self._collect(self._received()))
        except Exception as error:
            future.set_exception(error)

    def _received(self) -> Iterator[EpochTokens]:
        """The blocks, in order; the processes have them in turn."""
        try:
            for block in range(_num_blocks(self._corpus)):
                yield self._workers[block % len(self._workers)][1].recv()
        except (EOFError, OSError):  # at the start of a block, or in the midst of one
            raise RuntimeError("a process that draws subwords has ended early") from None
        finally:
            for process, receiver in self._workers:
                receiver.close()
                process.terminate()
                process.join()

    def _collect(self, blocks: Iterator[EpochTokens]) -> EpochTokens:
        folder = self._corpus.folder.parent
        source_type = self._corpus.source_side.tokens.dtype
        target_type = self._corpus.target_side.tokens.dtype
        try:
            with (
                temporary_ragged(folder, source_type) as source,
                temporary_ragged(folder, target_type) as target,
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


def _work(
    sender: Connection,
    folder: Path,
    source_reader: SourceReader[Any],
    target_reader: SourceReader[str],
    seed: int,
    epoch: int,
    first: int,
    step: int,
) -> None:
    """What a process does: send every `step`-th block, from the `first` on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that trains to handle
    corpus = open_encoded(folder, source_reader, target_reader)
    with suppress(BrokenPipeError), sender:  # nobody listens any more
        for block in _blocks(corpus, seed, epoch, first, step):
            sender.send(block)


def _blocks(
    corpus: EncodedCorpus, seed: int, epoch: int, first: int, step: int
) -> Iterator[EpochTokens]:
    for block in range(first, _num_blocks(corpus), step):
        pairs = np.arange(block * _BLOCK, min((block + 1) * _BLOCK, len(corpus)))
        yield EpochTokens(*corpus.draw(pairs, seed, epoch))


def _num_blocks(corpus: EncodedCorpus) -> int:
    return -(-len(corpus) // _BLOCK)
