"""Corpora of token ids on disk, written in blocks and read through a memory map."""

import json
import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.encode_blocks import Block, BlockEncoder, encode_blocks
from nmt.data.filters import FilterReport, Filters, PairFilter
from nmt.data.guided_alignment import LINK_DTYPE
from nmt.data.ragged import RaggedArray, create_ragged, open_ragged
from nmt.system.files import MAX_JSON_BYTES, parse_json, read_regular
from nmt.text.reader import Item, SourceReader

_REPORT: Final = "report.json"
_LINKS: Final = "links"
# Names of all files that the folder may contain.
FILES: Final = {_REPORT} | {
    f"{name}.{kind}"
    for name in ("source", "source.text", "target", "target.text", _LINKS)
    for kind in ("values", "offsets")
}
# Bounds on a block, to limit memory: blocks are lists of Python objects, and lines may be long.
_MAX_BLOCK_PAIRS: Final = 4096
_MAX_BLOCK_SIZE: Final = 2**21  # characters, or numbers of grids
_LOG_EVERY: Final = 2**19  # pairs

logger = logging.getLogger(__name__)


class EpochTokens(NamedTuple):
    """N sentence pairs in the tokenization of one epoch.

    Attributes:
        source: N rows of source tokens, without EOS.
        target: N rows of target tokens, without BOS and EOS.
    """

    source: RaggedArray
    target: RaggedArray


@dataclass(frozen=True)
class EncodedSide:
    """One language of an encoded corpus of N sentence pairs.

    Attributes:
        reader: the reader that encoded the tokens.
        tokens: N rows of ids without BOS and EOS, or of grid cells.
        text: N rows of UTF-8 if the tokenizer samples, so that each epoch is encoded again.
    """

    reader: SourceReader[Any]
    tokens: RaggedArray
    text: RaggedArray | None = None

    def draw(self, rows: NDArray[np.int64], rngs: Sequence[random.Random]) -> RaggedArray:
        """Return the tokens of sentences `rows`, `[M]`, sampled with M random generators `rngs`."""
        if self.text is None:
            return self.tokens.select(rows)
        texts = [self.text[row].tobytes().decode(errors="replace") for row in rows.tolist()]
        return RaggedArray.from_rows(
            [self.reader.encode(text, rng) for text, rng in zip(texts, rngs, strict=True)],
            self.tokens.values.dtype,
        )


@dataclass(frozen=True)
class EncodedCorpus:
    """N sentence pairs as token ids, on disk.

    Attributes:
        source_side: the source language.
        target_side: the target language.
        report: counts of the pairs that the filters dropped.
        folder: the folder of the files.
        links: N rows of links between tokens (see `read_links`), if the corpus has alignments.
    """

    source_side: EncodedSide
    target_side: EncodedSide
    report: FilterReport
    folder: Path
    links: RaggedArray | None = None

    def __len__(self) -> int:
        return len(self.source_side.tokens)

    def __reduce__(self) -> tuple[object, ...]:
        return open_encoded, (self.folder, self.source_side.reader, self.target_side.reader)

    @property
    def key(self) -> str:
        """Return a key that is unique to the text and to its encoding."""
        return self.folder.name

    @property
    def samples(self) -> bool:
        """Return whether epochs differ because a tokenizer samples subwords."""
        return self.source_side.text is not None or self.target_side.text is not None

    def source(self, pair: int) -> NDArray[Any]:
        """Return the ids of one source sentence, without EOS."""
        return self.source_side.tokens[pair]

    def target(self, pair: int) -> NDArray[Any]:
        """Return the ids of one target sentence, without BOS and EOS."""
        return self.target_side.tokens[pair]

    def draw(self, pairs: NDArray[np.int64], seed: int, epoch: int) -> EpochTokens:
        """Return the tokens of some pairs in one epoch.

        A tokenizer that samples encodes the text again. The sample depends only on the seed, the
        epoch and the pair, and not on the batch or on earlier samples.

        Args:
            pairs: `[M]`, pair indices.
            seed: the seed of the run.
            epoch: the number of the epoch.
        """
        rngs: list[random.Random] = []
        if self.samples:
            rngs = [random.Random(f"{seed}/{epoch}/{pair}") for pair in pairs.tolist()]
        return EpochTokens(self.source_side.draw(pairs, rngs), self.target_side.draw(pairs, rngs))


def write_encoded(
    pairs: Iterable[tuple[Item, str]],
    source_reader: SourceReader[Item],
    target_reader: SourceReader[str],
    filters: Filters,
    folder: Path,
    links: Iterator[list[int]] | None = None,
    num_processes: int = 1,
    before: Iterable[NDArray[np.uint64]] = (),
) -> FilterReport:
    """Encode the pairs that pass the filters into an existing folder; return what they dropped.

    Args:
        pairs: the pairs of the corpus, in order.
        source_reader: encodes the sources.
        target_reader: encodes the target side; may be the same.
        filters: the filters of pairs.
        folder: the folder of the files.
        links: links of each pair, if the corpus has alignments.
        num_processes: processes that encode if there are many pairs (see `WorkerPool`); up to 1:
            encode in this process. The files do not depend on it.
        before: hashes of the pairs of earlier corpora; deduplication drops these pairs.
    """
    encoder = BlockEncoder(source_reader, target_reader, filters.deduplicate)
    report = FilterReport()
    pair_filter = PairFilter(filters, before)
    dtypes = _dtypes("source", source_reader) | _dtypes("target", target_reader)
    if links is not None:
        dtypes[_LINKS] = LINK_DTYPE
    with ExitStack() as stack:
        blocks = stack.enter_context(closing(encode_blocks(_blocks(pairs), encoder, num_processes)))
        writers = {
            name: stack.enter_context(create_ragged(folder, name, dtype))
            for name, dtype in dtypes.items()
        }
        for block in blocks:
            arrays = dict(block.arrays)
            if links is not None:
                arrays[_LINKS] = RaggedArray.from_rows(list(islice(links, len(block))), LINK_DTYPE)
            lengths = arrays["source"].lengths, arrays["target"].lengths
            keep, part = pair_filter(*lengths, block.hashes)
            kept = np.flatnonzero(keep)
            for name, writer in writers.items():
                writer.append(arrays[name].select(kept))
            _log_progress(report.num_read, report.num_read + part.num_read)
            report += part
    if links is not None:
        next(links, None)  # a mismatch with the number of pairs is raised at the end
    (folder / _REPORT).write_text(json.dumps(asdict(report)))
    return report


def open_encoded(
    folder: Path, source_reader: SourceReader[Any], target_reader: SourceReader[str]
) -> EncodedCorpus:
    """Open a corpus that `write_encoded` wrote with the same readers.

    Raises:
        OSError, ValueError, TypeError: a file is missing or invalid.
    """
    fields = parse_json(read_regular(folder / _REPORT, MAX_JSON_BYTES))
    if not isinstance(fields, dict) or not all(type(number) is int for number in fields.values()):
        raise ValueError(f"{folder / _REPORT}: not a report of filters")
    source, target = (
        EncodedSide(reader, *(open_ragged(folder, *file) for file in _dtypes(side, reader).items()))
        for side, reader in (("source", source_reader), ("target", target_reader))
    )
    has_links = (folder / f"{_LINKS}.values").exists()
    links = open_ragged(folder, _LINKS, LINK_DTYPE) if has_links else None
    return EncodedCorpus(source, target, FilterReport(**fields), folder, links)


def _dtypes(side: str, reader: SourceReader[Any]) -> dict[str, np.dtype[Any]]:
    """Return the dtypes of the arrays of a side, by name."""
    dtypes = {side: reader.token_dtype}
    return dtypes | {f"{side}.text": np.dtype(np.uint8)} if reader.samples else dtypes


def _log_progress(before: int, now: int) -> None:
    if now // _LOG_EVERY > before // _LOG_EVERY:
        logger.info("%s sentence pairs encoded", f"{now:,}")


def _blocks(pairs: Iterable[tuple[Item, str]]) -> Iterator[Block[Item]]:
    """Group pairs into lists of bounded number and size; the last pair may exceed the size."""
    block: Block[Item] = []
    size = 0
    for pair in pairs:
        block.append(pair)
        size += len(pair[0]) + len(pair[1])
        if len(block) == _MAX_BLOCK_PAIRS or size >= _MAX_BLOCK_SIZE:
            yield block
            block, size = [], 0
    if block:
        yield block
