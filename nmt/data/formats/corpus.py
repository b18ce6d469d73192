"""Base class of all corpus formats: pairs of a source and a line of target text."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from nmt.core.errors import DataError
from nmt.data.formats.lines import MAX_LINE_BYTES, read_lines
from nmt.text.reader import Item
from nmt.word_alignment.units import AlignmentUnits

T = TypeVar("T")


@dataclass(frozen=True)
class Corpus(ABC, Generic[Item]):
    """Files of a parallel corpus; subclasses read the sources.

    Attributes:
        source: the file of sources.
        target: the file of target sentences, one per source; None: `source` contains them.
        alignments: word alignments in Pharaoh format, line for line.
        max_line_bytes: maximum length of a line in bytes; a longer one is read as an empty line.
        alignment_units: the units that the links of `alignments` index.
        item: name of one source in messages, as in "line".
        correspondence: how the two files correspond, for messages.
    """

    item: ClassVar[str]
    correspondence: ClassVar[str]

    source: Path
    target: Path | None = None
    alignments: Path | None = None
    max_line_bytes: int = MAX_LINE_BYTES
    alignment_units: AlignmentUnits = "words"

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the paths of all files of the corpus."""
        given = (self.source, self.target, self.alignments)
        return tuple(path for path in given if path is not None)

    def __str__(self) -> str:
        text = (self.source, self.target)
        return " and ".join(str(path) for path in text if path is not None)

    @abstractmethod
    def read_sources(self) -> Iterator[Item]:
        """Read the sources, in order."""

    def read_pairs(self) -> Iterator[tuple[Item, str]]:
        """Read the pairs in order, including blank ones.

        Raises:
            DataError: a file cannot be read (see `read_lines`), or a line of a TSV file does not
                have exactly one tab. Raised at the end: the files have different numbers of items,
                there are no lines, or no pair has text on both sides.
        """
        count = 0
        has_text = False
        for source, target in self._read_unchecked():
            count += 1
            has_text = has_text or not (is_blank(source) or is_blank(target))
            yield source, target
        if count == 0:
            raise DataError(f"{self}: empty; a corpus needs at least one sentence pair")
        if not has_text:
            raise DataError(f"{self}: none of the {count:,} pairs has text on both sides")

    def _read_unchecked(self) -> Iterator[tuple[Item, str]]:
        """Read the pairs of two files in order; the files may be empty."""
        assert self.target is not None
        targets = read_lines(self.target, max_line_bytes=self.max_line_bytes)
        return zip_lines(
            self.read_sources(),
            targets,
            lambda num_sources, num_targets: (
                f"{self.source} has {num_sources:,} {self.item}s, {self.target} has "
                f"{num_targets:,} lines: {self.correspondence}"
            ),
        )


def zip_lines(
    first: Iterable[T], second: Iterable[str], unequal: Callable[[int, int], str]
) -> Iterator[tuple[T, str]]:
    """Yield items with their corresponding lines.

    Args:
        first: the items; must not be None.
        second: the lines.
        unequal: makes the error message from the two counts, if they differ.

    Raises:
        DataError: the numbers of items and lines differ; raised at the end.
    """
    counts = [0, 0]
    for item, line in zip_longest(first, second):
        counts[0] += item is not None
        counts[1] += line is not None
        if item is not None and line is not None:
            yield item, line
    if counts[0] != counts[1]:
        raise DataError(unequal(*counts))


def is_blank(item: object) -> bool:
    """Return whether an item is only white space; grids are never blank."""
    return isinstance(item, str) and not item.strip()
