"""Tensors out: makes batches of what the sampler chose, ahead of the time that they are wanted."""

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
    """What is needed to make any batch of an epoch."""

    number: int
    corpora: list[EpochTokens]
    batches: Batches


@dataclass(eq=False)
class DataLoader:
    """The batches of an epoch by updates, made by a thread that reads ahead.

    What it gives is a function of the seeds, the epoch and the number of the batch only, so that
    a run that is resumed sees what the unbroken run would have seen.

    Attributes:
        corpora: the corpora, in the order that the sampler knows them in.
        sampler: says which pairs are a batch.
        seed: of subword sampling, where the tokenizers do that.
        accumulate: batches to one update; the last one of an epoch may have fewer.
        shard: of this process among those that share each update; it reads only its own sentences.
        pin_memory: put the tensors where a GPU can fetch them while the program continues.
        num_processes: that sample the subwords of a corpus when an epoch starts (the program's main
            module must be safe to import); 0: this one does.
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
        """Batches in an epoch; chance makes it a few more or less from one to the next."""
        return len(self._prepared(epoch).batches)

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches that `updates` gives to this process, one after the other."""
        with closing(self.updates(number, start)) as updates:
            for update in updates:
                yield from update.batches

    def updates(self, number: int, start: int = 0) -> Generator[LocalUpdate, None, None]:
        """What this process computes of each update of an epoch, from batch `start` on.

        What goes wrong in the background is raised here, in the place of the update that it was
        about. The thread ends when the iterator is closed or dropped before its end.
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
        """Take note that what was in one folder of the cache has been moved to another.

        What is open stays open: an epoch that was drawn is not drawn again.
        """
        self.corpora = [
            replace(corpus, folder=new / corpus.key) if corpus.folder.parent == old else corpus
            for corpus in self.corpora
        ]

    def _prepared(self, number: int) -> _Epoch:
        # The latest is kept: to sort millions of pairs takes seconds, to sample subwords minutes.
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
        """Of the update that begins with batch `first`."""
        end = min(first + self.accumulate, len(epoch.batches))
        batches = [epoch.batches[number] for number in range(first, end)]
        return LocalUpdate(
            batches=[self._make(epoch, pairs) for pairs in self.shard.select(batches)],
            num_batches=len(batches),
            num_target_tokens=sum(self._num_target_tokens(epoch, pairs) for pairs in batches),
            is_last=end == len(epoch.batches),
        )

    def _num_target_tokens(self, epoch: _Epoch, pairs: NDArray[np.int64]) -> int:
        """Labels of a batch, EOS counted."""
        return len(pairs) + sum(
            epoch.corpora[index].target.count(rows) for index, rows in self._rows(pairs)
        )

    def _rows(self, pairs: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """The corpora that have some of the pairs, and their numbers in each."""
        bounds = np.searchsorted(pairs, self._starts)  # the pairs ascend, so corpora lie together
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
        """Of some pairs of a corpus; none where no alignments are given."""
        links = self.corpora[index].links
        if links is None:
            return RaggedArray.from_rows([()] * len(rows), LINK_DTYPE)
        return links.select(rows)
