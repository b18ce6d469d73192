"""What a translator is asked for: lines with what their translations must have, by windows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from nmt.core.console import FirstWarnings
from nmt.data.formats.grids import Source
from nmt.inference.input_types import check_lines, check_pairs
from nmt.inference.inputs import Input, encode_constraints, require_phrases
from nmt.inference.length_batching import cut_warnings, read_words, windows
from nmt.search.request import Constraints
from nmt.search.search import Search
from nmt.text.reader import EncodedWords, SourceReader, Tokens
from nmt.text.tokenizer import Tokenizer

Pair = tuple[Source, str]


@dataclass(frozen=True, eq=False)
class Window:
    """Lines that are sorted and cut into batches together, with their tokens.

    Attributes:
        first_number: of the first line, for warnings.
        lines: with what is asked of each.
        sources: the tokens and words of each.
        constraints: what is asked, in tokens.
    """

    first_number: int
    lines: list[Input]
    sources: list[EncodedWords]
    constraints: list[Constraints]

    @property
    def tokens(self) -> list[Tokens]:
        """The tokens of each line."""
        return [source.ids for source in self.sources]


def read_windows(
    lines: Iterable[Source | Input],
    source_reader: SourceReader[Any],
    target_tokenizer: Tokenizer,
    search: Search,
    *,
    max_tokens: int,
    first_number: int,
    warnings: FirstWarnings,
) -> Iterator[Window]:
    """The lines of one window after the other, in tokens.

    Args:
        lines: of which none may ask for more than the search can do.
        source_reader: of what is translated.
        target_tokenizer: of what is asked.
        search: that is to find it.
        max_tokens: of a line that are read.
        first_number: of the first line, for warnings.
        warnings: of lines that are cut.

    Raises:
        TypeError: a line is neither an item of the reader nor an `Input`.
        ConfigError: phrases must appear, and the search knows nothing of such.
    """
    max_length = search.rules.limits.max_length
    checked = check_lines(lines, source_reader.item_type, Input, first_number=first_number)
    for window in windows(checked, len):
        given = [line if isinstance(line, Input) else Input(line) for line in window]
        sources = read_words(
            source_reader,
            [line.source for line in given],
            side="source",
            first_number=first_number,
            max_tokens=max_tokens,
            warnings=warnings,
        )
        constraints = [
            encode_constraints(line, number, target_tokenizer, max_length)
            for number, line in enumerate(given, start=first_number)
        ]
        if any(constraint.phrases for constraint in constraints):
            require_phrases(search)
        yield Window(first_number, given, sources, constraints)
        first_number += len(window)


def read_pairs(
    pairs: Iterable[Pair],
    readers: tuple[SourceReader[Any], SourceReader[str]],
    function: str,
    max_tokens: int,
) -> Iterator[tuple[list[EncodedWords], list[EncodedWords]]]:
    """Yield the tokens and words of the sources and the targets of one window after the other.

    Args:
        pairs: of sources and targets.
        readers: of both sides.
        function: that was given the pairs, for messages.
        max_tokens: of a side that are read; the rest is cut, with a warning.

    Raises:
        TypeError: a pair is something else.
    """
    source_reader, target_reader = readers
    read = partial(read_words, max_tokens=max_tokens, warnings=cut_warnings())
    number = 1
    for window in windows(check_pairs(pairs, source_reader.item_type, function), _size):
        sources, targets = zip(*window, strict=True)
        yield (
            read(source_reader, sources, side="source", first_number=number),
            read(target_reader, targets, side="target", first_number=number),
        )
        number += len(window)


def _size(pair: Pair) -> int:
    return len(pair[0]) + len(pair[1])
