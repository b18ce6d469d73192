"""Tensors out: makes batches of what the sampler chose, ahead of the time that they are wanted."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.batch import Batch
from nmt.data.batching import BatchSampler
from nmt.data.encoded import EncodedCorpus
from nmt.data.ragged import RaggedArray
from nmt.symbols import BOS, EOS, PAD

_READ_AHEAD: Final = 8  # batches


class DataLoader:
    """The batches of an epoch, from any of them on, made by a thread that reads ahead.

    What it gives is a function of the seeds, the epoch and the number of the batch alone, so that
    a run that is resumed sees what the unbroken run would have seen.

    Args:
        corpora: the corpora, in the order that the sampler knows them in.
        sampler: says which pairs are a batch.
        seed: of subword sampling, where the tokenizers do that.
        pin_memory: put the tensors where a GPU can fetch them while the program goes on.
    """

    def __init__(
        self,
        corpora: Sequence[EncodedCorpus],
        sampler: BatchSampler,
        *,
        seed: int,
        pin_memory: bool = False,
    ) -> None:
        self._corpora = list(corpora)
        self._starts = np.cumsum([0, *map(len, corpora)])
        self._sampler = sampler
        self._seed = seed
        self._pin_memory = pin_memory
        self._latest: tuple[int, list[NDArray[np.int64]]] | None = None

    def num_batches(self, epoch: int) -> int:
        """Batches in an epoch; chance makes it a few more or less from one to the next."""
        return len(self._batches(epoch))

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch, from batch `start` on.

        What goes wrong in the thread is raised here, in the place of the batch that it was about.
        The thread ends when the iterator does, or is closed or dropped.
        """
        pending: deque[Future[Batch]] = deque()
        executor = ThreadPoolExecutor(1, thread_name_prefix="batches")
        try:
            for pairs in self._batches(number)[start:]:
                pending.append(executor.submit(self._make, pairs, number))
                if len(pending) > _READ_AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            executor.shutdown(cancel_futures=True)

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        # The last epoch asked for is kept: to sort millions of pairs takes seconds.
        if self._latest is None or self._latest[0] != epoch:
            self._latest = (epoch, self._sampler.batches(epoch))
        return self._latest[1]

    def _make(self, pairs: NDArray[np.int64], epoch: int) -> Batch:
        bounds = np.searchsorted(pairs, self._starts)  # the pairs ascend, so corpora lie together
        sources, targets = [], []
        for corpus, offset, first, last in zip(
            self._corpora, self._starts, bounds, bounds[1:], strict=False
        ):
            if first < last:
                source, target = corpus.draw(pairs[first:last] - offset, self._seed, epoch)
                sources.append(source)
                targets.append(target)
        batch = _batch(RaggedArray.concatenate(sources), RaggedArray.concatenate(targets))
        return _pinned(batch) if self._pin_memory else batch


def make_batch(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Batch:
    """A batch of given pairs, in the order given; ids without BOS and EOS, which are put around."""
    assert len(sources) == len(targets) > 0
    return _batch(RaggedArray.from_rows(sources), RaggedArray.from_rows(targets))


def make_source(sources: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Sources alone, as `Batch` has them: `[B S]` with EOS and padding, and lengths, `[B]`."""
    rows = RaggedArray.from_rows(sources)
    return torch.from_numpy(_padded(rows, bos=False)), torch.from_numpy(rows.lengths + 1)


def _batch(sources: RaggedArray, targets: RaggedArray) -> Batch:
    return Batch(
        source=torch.from_numpy(_padded(sources, bos=False)),
        source_lengths=torch.from_numpy(sources.lengths + 1),
        target=torch.from_numpy(_padded(targets, bos=True)),
        num_target_tokens=len(targets.values) + len(targets),
    )


def _padded(rows: RaggedArray, *, bos: bool) -> NDArray[np.int64]:
    """`[B, longest + 1 (or 2)]`: (BOS,) the tokens, EOS, and padding."""
    lengths = rows.lengths
    columns = np.arange(int(lengths.max()) + 1 + bos) - bos
    matrix = np.full((len(rows), len(columns)), PAD, np.int64)
    matrix[(columns >= 0) & (columns < lengths[:, None])] = rows.values
    matrix[np.arange(len(rows)), lengths + bos] = EOS
    if bos:
        matrix[:, 0] = BOS
    return matrix


def _pinned(batch: Batch) -> Batch:
    return Batch(
        source=batch.source.pin_memory(),
        source_lengths=batch.source_lengths.pin_memory(),
        target=batch.target.pin_memory(),
        num_target_tokens=batch.num_target_tokens,
    )
