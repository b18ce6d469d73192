"""Tokenization of blocks of pairs, in several processes for large corpora.

This module does not import torch, which would slow down the start of each process.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, Generic

import numpy as np
from numpy.typing import NDArray

from nmt.data.filters import hash_pairs
from nmt.data.ragged import RaggedArray
from nmt.distributed.remote_result import ItemsBeforeError
from nmt.distributed.worker_pool import WorkerPool
from nmt.text.reader import Item, SourceReader

_FEW_BLOCKS: Final = 24  # about 100,000 pairs; fewer take less time than starting processes

Block = list[tuple[Item, str]]


@dataclass(frozen=True)
class EncodedBlock:
    """N encoded pairs.

    Attributes:
        arrays: token arrays `source` and `target`, with N rows each. If the tokenizer of a side
            samples, also its text in UTF-8, as `source.text` or `target.text`.
        hashes: `[N]`, hashes of the pairs for deduplication; None without it.
    """

    arrays: dict[str, RaggedArray]
    hashes: NDArray[np.uint64] | None

    def __len__(self) -> int:
        return len(self.arrays["source"])


@dataclass(frozen=True)
class BlockEncoder(Generic[Item]):
    """Encoder of blocks of pairs.

    Attributes:
        source_reader: encodes the sources.
        target_reader: encodes the target side.
        with_hashes: whether to hash the pairs, for deduplication.
    """

    source_reader: SourceReader[Item]
    target_reader: SourceReader[str]
    with_hashes: bool

    def encode(self, block: Block[Item]) -> EncodedBlock:
        """Encode all pairs of a block."""
        sources, targets = zip(*block, strict=True)
        arrays = _encode("source", self.source_reader, sources)
        arrays |= _encode("target", self.target_reader, targets)
        return EncodedBlock(arrays, hash_pairs(block) if self.with_hashes else None)


def encode_blocks(
    blocks: Iterable[Block[Item]],
    encoder: BlockEncoder[Item],
    num_processes: int,
) -> Generator[EncodedBlock, None, None]:
    """Yield the encoded blocks in order; many blocks are encoded in several processes.

    Errors do not depend on the number of processes: an error while reading is raised after the
    errors of earlier blocks. See `WorkerPool.map` for other errors.
    """
    before_error = ItemsBeforeError(blocks)
    rest = iter(before_error)
    first = list(islice(rest, _FEW_BLOCKS)) if num_processes > 1 else []
    are_many = len(first) == _FEW_BLOCKS
    ahead = chain(first, rest)
    del first  # to free its blocks while the rest is encoded
    if are_many:
        with WorkerPool(
            encoder,
            num_processes,
            jobs_ahead=2,
            name="an encoding process",
            remedy="lower data.encoding_processes (1: no extra processes)",
        ) as workers:
            yield from workers.map(BlockEncoder.encode, ((block,) for block in ahead))
    else:
        yield from map(encoder.encode, ahead)
    before_error.raise_error()


def _encode(side: str, reader: SourceReader[Any], items: Sequence[Any]) -> dict[str, RaggedArray]:
    rows = [reader.encode(item) for item in items]
    arrays = {side: RaggedArray.from_rows(rows, reader.token_dtype)}
    if reader.samples:
        arrays[f"{side}.text"] = RaggedArray.from_texts([str(item) for item in items])
    return arrays
