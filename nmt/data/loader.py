"""Data loader: a background thread makes batches of tensors ahead of time."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nmt.core.batch import Batch, LocalUpdate, map_tensors, pad_batch
from nmt.data.batching import UNSHARDED, Batches, BatchSampler, PairLengths, Shard
from nmt.data.encoded_corpus import EncodedCorpus, EpochTokens
from nmt.data.guided_alignment import LINK_DTYPE, target_weights
from nmt.data.ragged import RaggedArray, compact_lengths
from nmt.data.subword_epochs import draw_epoch

_READ_AHEAD: Final = 8  # updates


@dataclass(frozen=True)
class _Epoch:
    """Tokens and batches of an epoch."""

    number: int
    corpora: list[EpochTokens]
    batches: Batches


@dataclass(eq=False)
class DataLoader:
    """Batches of an epoch, grouped by update and prefetched by a background thread.

    Batches depend only on the seeds, the epoch and the batch number, so a resumed run sees the same
    batches as an uninterrupted one.

    Attributes:
        corpora: the corpora, in the order of the sampler.
        sampler: assigns pairs to batches.
        seed: seed of subword sampling.
        accumulate: batches per update; the last update of an epoch may have fewer.
        shard: share of this process in each update; only its own sentences are read.
        pin_memory: put tensors in pinned memory, for asynchronous copies to a GPU.
        num_processes: processes that sample the subwords of a corpus when an epoch starts; 0:
            sample in this process. They need a main module that is safe to import.
    """

    corpora: Sequence[EncodedCorpus]
    sampler: BatchSampler
    _: KW_ONLY
    seed: int
    accumulate: int = 1
    shard: Shard = UNSHARDED
    pin_memory: bool = False
    num_processes: int = 0

    def __post_init__(self) -> None:
        self._starts = np.cumsum([0, *map(len, self.corpora)])
        self._latest: _Epoch | None = None

    def num_batches(self, epoch: int) -> int:
        """Return the number of batches in an epoch, which varies slightly between epochs."""
        return len(self._prepared(epoch).batches)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Yield this process's batches of all `updates` of an epoch, in order."""
        with closing(self.updates(number, start)) as updates:
            for update in updates:
                yield from update.batches

    def updates(self, number: int, start: int = 0) -> Generator[LocalUpdate, None, None]:
        """Yield this process's share of each update of an epoch, from batch `start` on.

        Errors in the background thread are raised here, in place of the update that failed. The
        thread ends when the iterator is exhausted, closed or dropped.
        """
        epoch = self._prepared(number)
        pending: deque[Future[LocalUpdate]] = deque()
        executor = ThreadPoolExecutor(1, thread_name_prefix="batches")
        try:
            for first in range(start, len(epoch.batches), self.accumulate):
                pending.append(executor.submit(self._local_update, epoch, first))
                if len(pending) > _READ_AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            executor.shutdown(cancel_futures=True)

    def cache_moved(self, old: Path, new: Path) -> None:
        """Update the corpora after the cache was moved to another folder.

        Open files stay open, and the tokens of the current epoch are not drawn again.
        """
        self.corpora = [
            replace(corpus, folder=new / corpus.key) if corpus.folder.parent == old else corpus
            for corpus in self.corpora
        ]

    def _prepared(self, number: int) -> _Epoch:
        # Cached: sorting millions of pairs takes seconds, and sampling subwords takes minutes.
        if self._latest is None or self._latest.number != number:
            self._latest = None  # free it, and its files, before the new one is drawn
            corpora = [
                draw_epoch(corpus, self.seed, number, self.num_processes) for corpus in self.corpora
            ]
            lengths = PairLengths(
                compact_lengths([corpus.source for corpus in corpora]),
                compact_lengths([corpus.target for corpus in corpora]),
            )
            self._latest = _Epoch(number, corpora, self.sampler.batches(number, lengths))
        return self._latest

    def _local_update(self, epoch: _Epoch, first: int) -> LocalUpdate:
        """Return this process's share of the update that starts with batch `first`."""
        end = min(first + self.accumulate, len(epoch.batches))
        batches = [epoch.batches[number] for number in range(first, end)]
        return LocalUpdate(
            batches=[self._make(epoch, pairs) for pairs in self.shard.select(batches)],
            num_batches=len(batches),
            num_target_tokens=sum(self._num_target_tokens(epoch, pairs) for pairs in batches),
            is_last=end == len(epoch.batches),
        )

    def _num_target_tokens(self, epoch: _Epoch, pairs: NDArray[np.int64]) -> int:
        """Return the number of labels in a batch, including EOS."""
        return len(pairs) + sum(
            epoch.corpora[index].target.count(rows) for index, rows in self._rows(pairs)
        )

    def _rows(self, pairs: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield the index of each corpus that has some of the pairs, with their rows in it."""
        # Pairs ascend, so those of a corpus are adjacent.
        bounds = np.searchsorted(pairs, self._starts)
        for index, start in enumerate(self._starts[:-1]):
            rows = pairs[bounds[index] : bounds[index + 1]] - start
            if len(rows):
                yield index, rows

    def _make(self, epoch: _Epoch, pairs: NDArray[np.int64]) -> Batch:
        sources, targets, links = [], [], []
        for index, rows in self._rows(pairs):
            corpus = epoch.corpora[index]
            sources.append(corpus.source.select(rows))
            targets.append(corpus.target.select(rows))
            links.append(self._links(index, rows))
        source, target = RaggedArray.concatenate(sources), RaggedArray.concatenate(targets)
        batch = pad_batch((source.values, source.lengths), (target.values, target.lengths))
        if any(corpus.links is not None for corpus in self.corpora):
            size = batch.labels.shape[1], batch.source.shape[1]
            batch = replace(batch, alignment=target_weights(RaggedArray.concatenate(links), *size))
        return map_tensors(Tensor.pin_memory, batch) if self.pin_memory else batch

    def _links(self, index: int, rows: NDArray[np.int64]) -> RaggedArray:
        """Return the links of some pairs of a corpus; empty rows if it has no alignments."""
        links = self.corpora[index].links
        if links is None:
            return RaggedArray.from_rows([()] * len(rows), LINK_DTYPE)
        return links.select(rows)
