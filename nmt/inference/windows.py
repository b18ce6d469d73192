"""Tokenized windows of the input: lines with constraints, and pairs."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nmt.core.errors import ConfigError
from nmt.core.special_tokens import UNK
from nmt.data.formats.grids import Source
from nmt.inference import inputs
from nmt.inference.inputs import Input, LineWarnings, Pair, Side
from nmt.search.request import Constraints
from nmt.search.search import Search
from nmt.text.reader import EncodedWords, SourceReader, Tokens
from nmt.text.tokenizer import UNKNOWN_TEXT, Tokenizer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Window:
    """Lines that are sorted into batches together, with their tokens.

    Attributes:
        first_number: number of the first line, for warnings.
        lines: the lines with their constraints as text.
        sources: the tokens and words of each line.
        constraints: of each line, in tokens.
    """

    first_number: int
    lines: list[Input]
    sources: list[EncodedWords]
    constraints: list[Constraints]


@dataclass(frozen=True, eq=False)
class WindowReader:
    """Reader of the lines, or pairs of lines, of one stream.

    Attributes:
        source_reader: of the sources.
        target_tokenizer: of constraints and targets.
        max_tokens: maximum number of tokens of a side; the rest is cut, with a warning.
        warnings: about the stream.
    """

    source_reader: SourceReader[Any]
    target_tokenizer: Tokenizer
    max_tokens: int
    warnings: LineWarnings

    def read_lines(
        self, lines: Iterable[Source | Input], search: Search
    ) -> Iterator[tuple[Window, list[Tokens], list[Constraints]]]:
        """Yield successive windows of lines, with their tokens and constraints.

        Args:
            lines: the search must support their constraints.
            search: searches for the translations.

        Raises:
            TypeError: a line is neither an item of the reader nor an `Input`.
            ConfigError: an `Input` has phrases, and the search does not support them.
        """
        max_length = search.rules.limits.max_length
        first_number = self.warnings.next_number("source")
        kinds = self.source_reader.item_type, Input
        checked = inputs.check_lines(lines, *kinds, first_number=first_number)
        for items in inputs.windows(checked, len):
            given = [line if isinstance(line, Input) else Input(line) for line in items]
            first_number = self.warnings.next_number("source")
            sources = self._read("source", [line.source for line in given])
            constraints = [
                _encode_constraints(line, number, self.target_tokenizer, max_length)
                for number, line in enumerate(given, start=first_number)
            ]
            if any(constraint.phrases for constraint in constraints):
                require_phrases(search)
            window = Window(first_number, given, sources, constraints)
            yield window, [source.ids for source in sources], constraints

    def read_pairs(
        self, pairs: Iterable[Pair], function: str
    ) -> Iterator[tuple[list[EncodedWords], list[EncodedWords]]]:
        """Yield the tokens and words of the sources and targets of successive windows.

        Args:
            pairs: of sources and targets.
            function: name of the calling function, for messages.

        Raises:
            TypeError: an item is not such a pair.
        """
        first_number = self.warnings.next_number("source")
        checked = inputs.check_pairs(pairs, self.source_reader.item_type, function, first_number)
        for window in inputs.windows(checked, lambda pair: len(pair[0]) + len(pair[1])):
            sources, targets = zip(*window, strict=True)
            yield self._read("source", sources), self._read("target", targets)

    def _read(self, side: Side, items: Sequence[Source]) -> list[EncodedWords]:
        reader: SourceReader[Any] = (
            self.source_reader if side == "source" else self.target_tokenizer
        )
        return inputs.read_words(reader, items, side, self.max_tokens, self.warnings)


def _encode_constraints(
    given: Input, number: int, tokenizer: Tokenizer, max_length: int
) -> Constraints:
    """Encode the constraints of a line; skip, with a warning, those that cannot be generated.

    Args:
        given: the line.
        number: of the line, for messages.
        tokenizer: of the target.
        max_length: maximum number of tokens of a translation; a longer prefix is skipped.
    """
    if not given.prefix and not given.phrases:
        return Constraints()
    prefix = tuple(tokenizer.encode(given.prefix))
    if len(prefix) > max_length:
        logger.warning(
            f"line {number}: the prefix has {len(prefix)} tokens, above decoding.max_length "
            f"({max_length}); it is translated without the prefix"
        )
        prefix = ()
    elif UNK in prefix:
        logger.warning(
            f"line {number}: the prefix {given.prefix!r} has characters or words unknown to the "
            f"model; they become {UNKNOWN_TEXT}"
        )
    phrases = []
    for phrase in given.phrases:
        tokens = tuple(tokenizer.encode(phrase))
        if UNK in tokens:
            logger.warning(
                f"line {number}: {phrase!r} has characters or words unknown to the model; it is "
                f"translated without {phrase!r}"
            )
        elif tokens:
            phrases.append(tokens)
    return Constraints(prefix, tuple(phrases))


def require_phrases(search: Search | type[Search]) -> None:
    """Reject a search that does not support required phrases.

    Raises:
        ConfigError: the search does not support them.
    """
    if not search.supports_phrases:
        raise ConfigError(
            "--constraints: required phrases are only supported with beam search; set "
            "decoding.search to beam (--search beam)"
        )
