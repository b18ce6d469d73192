"""Base class of all corpus formats: pairs of a source and a line of target text."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_type_hints

from nmt.core.errors import DataError
from nmt.data.formats.lines import MAX_LINE_BYTES
from nmt.text.reader import Item
from nmt.word_alignment.units import AlignmentUnits

T = TypeVar("T")


@dataclass(frozen=True)
class Corpus(ABC, Generic[Item]):
    """Files of a parallel corpus; subclasses read a format.

    A subclass is a frozen dataclass with `kw_only=True`. Its fields are the options of the format,
    and those of type `Path`, or `Path | None`, are its files.

    Attributes:
        reads: the sources are lines of text or grids, which the encoder must read.
        alignments: word alignments in Pharaoh format, line for line.
        alignment_units: the units that the links of `alignments` index.
        max_line_bytes: maximum length of a line in bytes; a longer one is read as an empty line.
    """

    reads: ClassVar[Literal["text", "grids"]] = "text"

    alignments: Path | None = None
    alignment_units: AlignmentUnits = "words"
    max_line_bytes: int = MAX_LINE_BYTES

    @classmethod
    @functools.cache
    def file_options(cls) -> list[str]:
        """Return the names of the options that are files, without `alignments`."""
        types = get_type_hints(cls)
        names = [field.name for field in fields(cls) if field.name != "alignments"]
        return [name for name in names if types[name] in (Path, Path | None)]

    @property
    def _files(self) -> list[Path]:
        files = [getattr(self, name) for name in self.file_options()]
        return [file for file in files if file is not None]

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the paths of all files of the corpus."""
        return (*self._files, *([] if self.alignments is None else [self.alignments]))

    @property
    def settings(self) -> dict[str, Any]:
        """Return the options of the format that are not files, and files that are not given."""
        shared = {field.name for field in fields(Corpus)}
        own = {name: value for name, value in vars(self).items() if name not in shared}
        return {name: value for name, value in own.items() if not isinstance(value, Path)}

    def __str__(self) -> str:
        return " and ".join(map(str, self._files))

    @abstractmethod
    def read(self) -> Iterator[tuple[Item, str]]:
        """Read the pairs in order, including blank ones; the files may be empty.

        Raises:
            DataError: a file cannot be read; names the file, and the line if there is one.
        """

    def read_pairs(self) -> Iterator[tuple[Item, str]]:
        """Read the pairs in order, including blank ones, and refuse a corpus without text.

        Raises:
            DataError: the files cannot be read (see `read`). Raised at the end: there are no pairs,
                or no pair has text on both sides.
        """
        count = 0
        has_text = False
        for source, target in self.read():
            count += 1
            has_text = has_text or not (is_blank(source) or is_blank(target))
            yield source, target
        if count == 0:
            raise DataError(f"{self}: must not be empty; give at least one sentence pair")
        if not has_text:
            raise DataError(f"{self}: no pair of {count:,} has text on both sides; check the files")


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
