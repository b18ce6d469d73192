"""Whether an encoded corpus on disk can be what was written: offsets, ids, text and links fit."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nmt.data.encoded_corpus import EncodedCorpus, EncodedSide
from nmt.data.ragged import RaggedArray

_BLOCK: Final = 2**20  # values, or rows, that are looked at together


def has_right_sizes(corpus: EncodedCorpus) -> bool:
    """Return whether the files have as many rows and values as they say; little of them is read."""
    arrays = [side.tokens for side in _sides(corpus)]
    arrays += [side.text for side in _sides(corpus) if side.text is not None]
    arrays += [] if corpus.links is None else [corpus.links]
    return all(
        len(array) == corpus.report.num_kept and array.offsets[-1] == len(array.values)
        for array in arrays
    )


def is_well_formed(corpus: EncodedCorpus) -> bool:
    """Return whether all that the files hold can be used; they are read once."""
    return all(map(_is_side, _sides(corpus))) and (
        corpus.links is None
        or (
            _has_rows(corpus.links)
            and all(_are_links(corpus, *rows) for rows in _row_blocks(corpus))
        )
    )


def _sides(corpus: EncodedCorpus) -> tuple[EncodedSide, EncodedSide]:
    return corpus.source_side, corpus.target_side


def _is_side(side: EncodedSide) -> bool:
    texts = [] if side.text is None else [side.text]
    return all(map(_has_rows, [side.tokens, *texts])) and all(
        _are_tokens(block, len(side.reader)) for block in _blocks(side.tokens.values)
    )


def _has_rows(array: RaggedArray) -> bool:
    """Return whether offsets start at 0 and never fall."""
    starts = range(0, len(array.offsets), _BLOCK)
    parts = (array.offsets[start : start + _BLOCK + 1] for start in starts)
    return bool(array.offsets[0] == 0) and all(bool((np.diff(part) >= 0).all()) for part in parts)


def _are_tokens(values: NDArray[Any], num_tokens: int) -> bool:
    if values.dtype.kind == "f":  # cells of grids
        return bool(np.isfinite(values).all())
    return bool((values < num_tokens).all())


def _blocks(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(values), _BLOCK):
        yield values[start : start + _BLOCK]


def _row_blocks(corpus: EncodedCorpus) -> Iterator[tuple[int, int]]:
    for start in range(0, len(corpus), _BLOCK):
        yield start, min(start + _BLOCK, len(corpus))


def _are_links(corpus: EncodedCorpus, start: int, end: int) -> bool:
    """Return whether the links of some pairs are between tokens that there are."""
    assert corpus.links is not None
    links = corpus.links.select(np.arange(start, end))
    if bool((links.lengths % 2).any()):
        return False
    ends = links.values.reshape(-1, 2)
    lengths = (side.tokens.lengths[start:end] for side in _sides(corpus))
    return all(
        bool((ends[:, column] < np.repeat(length, links.lengths // 2)).all())
        for column, length in enumerate(lengths)
    )
