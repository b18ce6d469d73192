"""Bounded reading ahead, and batches of sentences of like length."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from nmt.text.reader import Tokens

T = TypeVar("T")

_MOST_ITEMS: Final = 4_000
_MOST_SIZE: Final = 4_000_000  # so that items of any length fit into memory


def no_report(num_done: int) -> None:
    """Ignore progress reports."""


def windows(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield runs of items, in order, as long as a bounded memory allows: at least one item in each.

    They are wide enough that batches of like length have hardly any padding.

    Args:
        items: read as far as the window that is wanted, and no further.
        size: of an item: characters of a line, numbers of a grid.
    """
    rest = iter(items)
    while window := list(islice(rest, 1)):
        room = _MOST_SIZE - size(window[0])
        while room > 0 and len(window) < _MOST_ITEMS and (following := list(islice(rest, 1))):
            window += following
            room -= size(following[0])
        yield window


def like_batches(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Return the indices of sentences, in batches of like length, the longest first.

    So a batch that is too large for the memory fails at once, not after hours.

    Args:
        lengths: tokens of each sentence, at least one.
        batch_tokens: most tokens in a batch, padding counted; a longer sentence is alone.
    """
    batches: list[list[int]] = []
    most = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if not batches or len(batches[-1]) == most:
            batches.append([])
            most = max(1, batch_tokens // lengths[index])
        batches[-1].append(index)
    return batches


def full_batches(sources: Sequence[Tokens], batch_tokens: int) -> list[list[int]]:
    """Return `like_batches` of the sentences that have tokens, to which EOS will be added."""
    full = [index for index, tokens in enumerate(sources) if len(tokens)]
    lengths = [len(sources[index]) + 1 for index in full]
    return [[full[place] for place in batch] for batch in like_batches(lengths, batch_tokens)]
