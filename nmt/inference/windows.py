"""What a translator is asked for: lines with what their translations must have, by windows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nmt.core.console import FirstWarnings
from nmt.data.formats.grids import Source
from nmt.inference.input_types import check_lines
from nmt.inference.inputs import Input, encode_constraints, require_phrases
from nmt.inference.length_batching import read_words, windows
from nmt.search.request import Constraints
from nmt.search.search import Search
from nmt.text.reader import EncodedWords, SourceReader
from nmt.text.tokenizer import Tokenizer


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
