"""Whether an encoded corpus on disk can be what was written: offsets, ids, text and links fit."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nmt.data.encoded_corpus import EncodedCorpus
from nmt.data.ragged import RaggedArray

_BLOCK: Final = 2**20  # values, or rows, that are looked at together


def has_right_sizes(corpus: EncodedCorpus) -> bool:
    """Return whether the files have as many rows and values as they say; little of them is read."""
    return all(
        len(array) == corpus.report.num_kept and array.offsets[-1] == len(array.values)
        for array in _arrays(corpus)
    )


def is_well_formed(corpus: EncodedCorpus) -> bool:
    """Return whether all that the files hold can be used; they are read once."""
    return (
        all(map(_has_rows, _arrays(corpus)))
        and all(
            _are_tokens(side.tokens.values[block], len(side.reader))
            for side in (corpus.source_side, corpus.target_side)
            for block in _blocks(len(side.tokens.values))
        )
        and (
            corpus.links is None
            or all(_are_links(corpus, corpus.links, block) for block in _blocks(len(corpus)))
        )
    )


def _arrays(corpus: EncodedCorpus) -> list[RaggedArray]:
    source, target = corpus.source_side, corpus.target_side
    found = (source.tokens, target.tokens, source.text, target.text, corpus.links)
    return [array for array in found if array is not None]


def _blocks(size: int) -> Iterator[slice]:
    for start in range(0, size, _BLOCK):
        yield slice(start, min(start + _BLOCK, size))


def _has_rows(array: RaggedArray) -> bool:
    """Return whether offsets start at 0 and never fall."""
    parts = (array.offsets[block.start : block.stop + 1] for block in _blocks(len(array.offsets)))
    return bool(array.offsets[0] == 0) and all(bool((np.diff(part) >= 0).all()) for part in parts)


def _are_tokens(values: NDArray[Any], num_tokens: int) -> bool:
    is_cell = values.dtype.kind == "f"  # of a grid
    return bool((np.isfinite(values) if is_cell else values < num_tokens).all())


def _are_links(corpus: EncodedCorpus, links: RaggedArray, block: slice) -> bool:
    """Return whether the links of some pairs are between tokens that there are."""
    links = links.select(np.arange(block.start, block.stop))
    if bool((links.lengths % 2).any()):
        return False
    ends = links.values.reshape(-1, 2)
    sides = (corpus.source_side, corpus.target_side)
    return all(
        bool((ends[:, column] < np.repeat(side.tokens.lengths[block], links.lengths // 2)).all())
        for column, side in enumerate(sides)
    )
