"""The input of a translator: type checks, tokens, windows and batches.

The input is read ahead in windows of bounded memory, and split into batches of similar length.
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

_MOST_ITEMS: Final = 4_000  # in a window
_MOST_SIZE: Final = 4_000_000  # of a window, so that items of any length fit into memory
_MANY_UNKNOWN: Final = 0.2  # share of tokens; more than names and rare words account for


@dataclass(frozen=True)
class Input:
    """One line to translate, with the constraints on its translation.

    Attributes:
        source: raw text, or a grid.
        prefix: the exact text that the translation starts with. The translation may continue its
            last word ("Haus", "Haustür"), as in interactive translation (Barrachina 2009), unless
            the text shows that the word is complete.
        phrases: whole words that must appear in the translation; phrases may overlap. They are
            matched as the tokens that the tokenizer encodes them to.
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
                "Input: source must be a str or Grid, prefix a str, phrases a tuple of str; got "
                f"{self!r}"
            )

    def __len__(self) -> int:
        return len(self.source)


def check_lines(lines: Iterable[T], *kinds: type, first_number: int) -> Iterator[T]:
    """Yield the lines after checking the type of each.

    Args:
        lines: the argument of `translate`.
        kinds: allowed types of a line.
        first_number: number of the first line, for messages.

    Raises:
        TypeError: a line has another type, or the argument is a single line or not iterable.
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
    """Yield the pairs after checking that each is a source of this type and a text.

    Args:
        pairs: the argument of the function.
        source: required type of a source.
        function: name of the function, for messages.
        first_number: number of the first pair, for messages.

    Raises:
        TypeError: an item is not such a pair, or the argument is a single pair or not iterable.
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
    """Reject a single text, whose characters would be read as lines, and non-iterables."""
    if isinstance(given, (*kinds, str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(
            f"{function}: must be a list of {what}s, not {_type(given)}; for one {what}, write "
            f"{function}({one})"
        )


def _type(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_type, value))})"
    return "None" if value is None else type(value).__name__


class LineWarnings:
    """Warnings about the lines of one stream that are cut or have unknown tokens.

    A model translates a line with unknown tokens fluently, but not necessarily correctly.

    Args:
        first_number: number of the first line.
        names_unknown: warn about each line with unknown tokens when it is read, up to ten times.
        item: name of a line in warnings.
    """

    def __init__(
        self, first_number: int = 1, *, names_unknown: bool = False, item: str = "line"
    ) -> None:
        self._first_number = first_number
        self._item = item
        self._cut = FirstWarnings(f"further {item}s that are too long are not reported")
        self._unknown = FirstWarnings(f"further {item}s with unknown tokens are not reported")
        self._names_unknown = names_unknown
        # For each side: unknown tokens, tokens, lines with unknown tokens, lines.
        self._sums: defaultdict[Side, NDArray[np.int64]] = defaultdict(lambda: np.zeros(4, int))

    def next_number(self, side: Side) -> int:
        """Return the number of the next line."""
        return self._first_number + int(self._sums[side][-1])

    def add(self, side: Side, tokens: Tokens, max_tokens: int) -> None:
        """Count the tokens of the next line; warn if it has more than `max_tokens`."""
        number = self.next_number(side)
        num_tokens = len(tokens)
        num_unknown = 0 if isinstance(tokens, np.ndarray) else list(tokens).count(UNK)
        self._sums[side] += (num_unknown, num_tokens, num_unknown > 0, 1)
        if num_unknown and self._names_unknown:
            unknown = f"{num_unknown} of {num_tokens} tokens {'is' if num_unknown == 1 else 'are'}"
            self._unknown.warn(f"{self._item} {number}: {unknown} unknown to the model")
        if num_tokens > max_tokens:
            self._cut.warn(
                f"{self._item} {number}: the {side} has {num_tokens} tokens; only the first "
                f"{max_tokens} are read (decoding.max_source_length)"
            )

    def sum_up_unknown(self) -> None:
        """Log one warning about the unknown tokens of each side."""
        for side, (num_unknown, num_tokens, num_named, num_lines) in self._sums.items():
            if num_unknown:
                hint = f"; check that the {side} text is in the right language"
                logger.warning(
                    f"{num_unknown:,} of {num_tokens:,} {side} tokens, in {num_named:,} of "
                    f"{num_lines:,} {self._item}s, are unknown to the model"
                    + (hint if num_unknown > _MANY_UNKNOWN * num_tokens else "")
                )


def read_words(
    reader: SourceReader[Item],
    items: Sequence[Item],
    side: Side,
    max_tokens: int,
    warnings: LineWarnings,
) -> list[EncodedWords]:
    """Return the tokens and words of items; items that are too long are cut, with a warning.

    Args:
        reader: of this side.
        items: lines of text, or grids.
        side: of the items, for warnings.
        max_tokens: maximum number of tokens of an item.
        warnings: of the stream that the items belong to.
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
    """Return the first tokens of a sentence, with all words that they are part of."""
    word_of_token = sentence.word_of_token[:num_tokens]
    num_words = word_of_token[-1] + 1
    return EncodedWords(sentence.ids[:num_tokens], sentence.words[:num_words], word_of_token)


def no_report(num_done: int) -> None:
    """Ignore progress reports."""


def windows(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield the items in windows of bounded size, in order, with at least one item in each.

    They are large enough that batches of similar length have hardly any padding.

    Args:
        items: read lazily, one window at a time.
        size: returns the size of an item: characters of a line, numbers of a grid.
    """
    rest = iter(items)
    while window := list(islice(rest, 1)):
        room = _MOST_SIZE - size(window[0])
        while room > 0 and len(window) < _MOST_ITEMS and (following := list(islice(rest, 1))):
            window += following
            room -= size(following[0])
        yield window


def like_batches(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Return the indices of sentences in batches of similar length, the longest first.

    With this order, a batch that is too large for the memory fails immediately, not after hours.

    Args:
        lengths: tokens of each sentence, at least one.
        batch_tokens: maximum number of tokens in a batch, including padding; a longer sentence
            gets its own batch.
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
    """Return `like_batches` of the non-empty sentences; their lengths include an added EOS."""
    full = [index for index, tokens in enumerate(sources) if len(tokens)]
    lengths = [len(sources[index]) + 1 for index in full]
    return [[full[place] for place in batch] for batch in like_batches(lengths, batch_tokens)]
