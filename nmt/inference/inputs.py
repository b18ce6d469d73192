"""What a translator is given: its types, which are checked, its tokens, windows and batches of it.

The input is read ahead as far as a bounded memory allows, and cut into batches of like length.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmt.core.console import FirstWarnings
from nmt.core.special_tokens import UNK
from nmt.data.formats.grids import Grid, Source
from nmt.text.reader import EncodedWords, Item, SourceReader, Tokens

logger = logging.getLogger(__name__)

T = TypeVar("T")
Pair: TypeAlias = tuple[Source, str]
Side: TypeAlias = Literal["source", "target"]

_MOST_ITEMS: Final = 4_000  # of a window
_MOST_SIZE: Final = 4_000_000  # so that items of any length fit into memory
_MANY_UNKNOWN: Final = 0.2  # of the tokens: more than names and rare words come to


@dataclass(frozen=True)
class Input:
    """One line to translate, and what is asked of its translation.

    Attributes:
        source: raw text, or a grid.
        prefix: what the translation begins with, character for character: where nothing in the text
            says that its last word is whole, the translation may go on with it ("Haus", "Haustür"),
            as interactive translation wants it (Barrachina 2009).
        phrases: what must stand in it somewhere, whole words; phrases may overlap. They are looked
            for as the tokens that the tokenizer makes of them.
    """

    source: Source
    prefix: str = ""
    phrases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        phrases: Any = self.phrases
        texts = [self.prefix, *([None] if isinstance(phrases, str) else phrases)]
        is_source = isinstance(self.source, str | Grid)
        if not is_source or not all(isinstance(text, str) for text in texts):
            raise TypeError(
                "Input takes a source (str or Grid), a prefix (str) and phrases (a tuple of str), "
                f"not {self!r}"
            )

    def __len__(self) -> int:
        return len(self.source)


def check_lines(lines: Iterable[T], *kinds: type, first_number: int) -> Iterator[T]:
    """Yield the lines, each of which must be of one of these types.

    Args:
        lines: what `translate` was given.
        kinds: what a line may be.
        first_number: of the first line, for messages.

    Raises:
        TypeError: a line is of another type, or what was given is one line, or no lines at all.
    """
    _require_several(lines, kinds, "translate", "line", "[line]")
    allowed = " or ".join(kind.__name__ for kind in kinds)
    for number, line in enumerate(lines, start=first_number):
        if not isinstance(line, kinds):
            raise TypeError(
                f"translate: line {number} is {_type(line)}; each line must be {allowed}"
            )
        yield line


def check_pairs(pairs: Iterable[T], source: type, function: str, first_number: int) -> Iterator[T]:
    """Yield the pairs, each of which must be a source of this type and a text.

    Args:
        pairs: what the function was given.
        source: what a source must be.
        function: its name, for messages.
        first_number: of the first pair, for messages.

    Raises:
        TypeError: a pair is something else, or what was given is one pair, or no pairs at all.
    """
    _require_several(pairs, (source,), function, "pair", "[(source, target)]")
    pair: Any
    for number, pair in enumerate(pairs, start=first_number):
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        if not (is_pair and isinstance(pair[0], source) and isinstance(pair[1], str)):
            raise TypeError(
                f"{function}: pair {number} is {_type(pair)}; each pair must be (source, target): "
                f"({source.__name__}, str)"
            )
        yield pair


def _require_several(
    given: Any, kinds: tuple[type, ...], function: str, what: str, one: str
) -> None:
    """Refuse a single text, whose characters would be taken for lines, and what has no items."""
    if isinstance(given, (*kinds, str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(
            f"{function} takes a list of {what}s, not {_type(given)}; of one {what}, write "
            f"{function}({one})"
        )


def _type(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_type, value))})"
    return "None" if value is None else type(value).__name__


class LineWarnings:
    """Warnings about the lines of one stream: those that are cut, and those with unknown tokens.

    Of a line with tokens that it was never taught a model makes something fluent all the same,
    which need not have to do with it.

    Args:
        first_number: of the first line.
        names_unknown: warn of each line with unknown tokens as it is read, up to ten.
    """

    def __init__(self, first_number: int = 1, *, names_unknown: bool = False) -> None:
        self._first_number = first_number
        self._cut = FirstWarnings("there are more lines that are too long; they are not named")
        self._unknown = FirstWarnings(
            "there are more lines with unknown tokens; they are not named"
        )
        self._names_unknown = names_unknown
        # Of each side: unknown tokens, tokens, lines with unknown tokens, lines.
        self._sums: defaultdict[Side, NDArray[np.int64]] = defaultdict(lambda: np.zeros(4, int))

    def next_number(self, side: Side) -> int:
        """Return the number of the line that is read next."""
        return self._first_number + int(self._sums[side][-1])

    def add(self, side: Side, tokens: Tokens, max_tokens: int) -> None:
        """Count the tokens of the next line, of which only the first `max_tokens` are read."""
        number = self.next_number(side)
        num_tokens = len(tokens)
        num_unknown = 0 if isinstance(tokens, np.ndarray) else list(tokens).count(UNK)
        self._sums[side] += (num_unknown, num_tokens, num_unknown > 0, 1)
        if num_unknown and self._names_unknown:
            unknown = f"{num_unknown} of {num_tokens} tokens {'is' if num_unknown == 1 else 'are'}"
            self._unknown.warn(f"line {number}: {unknown} unknown to the model")
        if num_tokens > max_tokens:
            self._cut.warn(
                f"line {number}: the {side} has {num_tokens} tokens; only the first {max_tokens} "
                "are read (decoding.max_source_length)"
            )

    def sum_up_unknown(self) -> None:
        """Warn of the unknown tokens of each side, in one line."""
        for side, (num_unknown, num_tokens, num_named, num_lines) in self._sums.items():
            if num_unknown:
                hint = f"; is the {side} text in the right language?"
                logger.warning(
                    f"{num_unknown:,} of {num_tokens:,} {side} tokens, in {num_named:,} of "
                    f"{num_lines:,} lines, are unknown to the model"
                    + (hint if num_unknown > _MANY_UNKNOWN * num_tokens else "")
                )


def read_words(
    reader: SourceReader[Item],
    items: Sequence[Item],
    side: Side,
    max_tokens: int,
    warnings: LineWarnings,
) -> list[EncodedWords]:
    """Return the tokens and words of items; of one that is too long the beginning, with a warning.

    Args:
        reader: of that side.
        items: lines of text, or grids.
        side: what the items are, for warnings.
        max_tokens: most tokens of an item.
        warnings: of the stream that the items are from.
    """
    sentences = []
    for item in items:
        sentence = reader.encode_words(item)
        warnings.add(side, sentence.ids, max_tokens)
        if len(sentence.ids) > max_tokens:
            sentence = _first_tokens(sentence, max_tokens)
        sentences.append(sentence)
    return sentences


def _first_tokens(sentence: EncodedWords, num_tokens: int) -> EncodedWords:
    """Return the beginning of a sentence, with the words of which a part is in it."""
    word_of_token = sentence.word_of_token[:num_tokens]
    num_words = word_of_token[-1] + 1
    return EncodedWords(sentence.ids[:num_tokens], sentence.words[:num_words], word_of_token)


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
        batch_tokens: most tokens in a batch, padding counted; a longer sentence is a batch of its
            own.
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
