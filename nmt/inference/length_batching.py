"""From raw text to sentences of like length, with bounded reading ahead."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, Literal, TypeVar

from nmt.core.console import FirstWarnings
from nmt.text.reader import EncodedWords, Item, SourceReader, Tokens, count_tokens, count_unknown

logger = logging.getLogger(__name__)

T = TypeVar("T")
P = TypeVar("P", bound=tuple[Any, ...])

_MOST_ITEMS: Final = 4_000
_MOST_SIZE: Final = 4_000_000  # so that items of any length fit into memory

_MANY: Final = 0.2  # of the tokens: more than names and rare words come to
_HINT: Final = "; is the {} text in the right language?"


def no_report(num_done: int) -> None:
    """For who does not want to know how many more sentences are done."""


def windows(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Runs of items, in order, as long as a bounded memory allows: at least one item in each.

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


def cut_warnings() -> FirstWarnings:
    """Return the warnings of `read_words` for one stream of lines."""
    return FirstWarnings("there are more lines that are too long; they are not named")


def read_words(
    reader: SourceReader[Item],
    items: Sequence[Item],
    *,
    side: Literal["source", "target"],
    first_number: int,
    max_tokens: int,
    warnings: FirstWarnings,
) -> list[EncodedWords]:
    """The tokens and words of items; of one that is too long the beginning, with a warning.

    Args:
        reader: of that side.
        items: lines of text, or grids.
        side: what the items are, for the warning.
        first_number: the number of the first item, for the warning.
        max_tokens: most tokens of an item.
        warnings: of the stream that the items are from (`cut_warnings`).
    """
    sentences = []
    for number, item in enumerate(items, start=first_number):
        sentence = reader.encode_words(item)
        if len(sentence.ids) > max_tokens:
            warnings.warn(
                "line %d: the %s has %d tokens; only the first %d are read "
                "(decoding.max_source_length)",
                number,
                side,
                len(sentence.ids),
                max_tokens,
            )
            sentence = _first_tokens(sentence, max_tokens)
        sentences.append(sentence)
    return sentences


def warn_of_unknown(
    items: Iterable[T],
    reader: SourceReader[Item],
    source: Callable[[T], Item],
    *,
    first_number: int = 1,
) -> Iterator[T]:
    """The items, with a warning for each that has tokens which the model was never taught.

    It translates them all the same, into something fluent that need not have to do with them.

    Args:
        items: passed on as they are.
        reader: of the source.
        source: what it reads of an item.
        first_number: the number of the first item.
    """
    warnings = FirstWarnings("there are more lines with unknown tokens; they are not named")
    for number, item in enumerate(items, start=first_number):
        tokens = reader.encode(source(item))
        num_unknown = count_unknown(tokens)
        if num_unknown:
            verb = "is" if num_unknown == 1 else "are"
            warnings.warn(
                "line %d: %d of %d tokens %s unknown to the model",
                *(number, num_unknown, len(tokens), verb),
            )
        yield item


def sum_up_unknown(pairs: Iterable[P], readers: Mapping[str, SourceReader[Any]]) -> Iterator[P]:
    """Pass pairs on, and warn at their end of tokens that the model was never taught.

    Args:
        pairs: of a source and a target, or sources without targets.
        readers: of the sides, by their names, in this order.
    """
    sums = {side: [0, 0, 0] for side in readers}
    num_pairs = 0
    for pair in pairs:
        num_pairs += 1
        for item, (side, reader) in zip(pair, readers.items(), strict=True):
            num_tokens, num_unknown = count_tokens(reader, [item])
            counts = (num_unknown, num_tokens, int(num_unknown > 0))
            sums[side] = [before + count for before, count in zip(sums[side], counts, strict=True)]
        yield pair
    for side, (num_unknown, num_tokens, num_lines) in sums.items():
        if num_unknown:
            logger.warning(
                "%s of %s %s tokens, in %s of %s lines, are unknown to the model%s",
                *(f"{num_unknown:,}", f"{num_tokens:,}", side, f"{num_lines:,}", f"{num_pairs:,}"),
                _HINT.format(side) if num_unknown > _MANY * num_tokens else "",
            )


def like_batches(
    lengths: Sequence[int], batch_tokens: int, batch_sentences: int | None
) -> list[list[int]]:
    """The indices of sentences, in batches of like length, the longest first.

    So a batch that is too large for the memory fails at once, not after hours.

    Args:
        lengths: tokens of each sentence, at least one.
        batch_tokens: most tokens in a batch, padding counted; a longer sentence is alone.
        batch_sentences: most sentences in a batch; None: any number.
    """
    batches: list[list[int]] = []
    most = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if not batches or len(batches[-1]) == most:
            batches.append([])
            most = max(1, batch_tokens // lengths[index])
            most = most if batch_sentences is None else min(most, batch_sentences)
        batches[-1].append(index)
    return batches


def full_batches(
    sources: Sequence[Tokens], batch_tokens: int, batch_sentences: int | None
) -> list[list[int]]:
    """`like_batches` of the sentences that have tokens, to which EOS is yet to be added."""
    full = [index for index, tokens in enumerate(sources) if len(tokens)]
    lengths = [len(sources[index]) + 1 for index in full]
    return [
        [full[place] for place in batch]
        for batch in like_batches(lengths, batch_tokens, batch_sentences)
    ]


def _first_tokens(sentence: EncodedWords, num_tokens: int) -> EncodedWords:
    """The beginning of a sentence, with the words of which a part is in it."""
    word_of_token = sentence.word_of_token[:num_tokens]
    num_words = word_of_token[-1] + 1
    return EncodedWords(sentence.ids[:num_tokens], sentence.words[:num_words], word_of_token)
