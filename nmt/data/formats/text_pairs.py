"""Parallel text: two files, line for line, or one TSV file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nmt.core.errors import DataError
from nmt.data.formats.corpus import Corpus, zip_lines
from nmt.data.formats.lines import read_bounded_lines, read_lines


@dataclass(frozen=True, kw_only=True)
class TextCorpus(Corpus[str]):
    """Two text files, line for line.

    Args:
        source: File of source sentences, one per line.
        target: File of target sentences, line for line.
    """

    source: Path
    target: Path

    def read(self) -> Iterator[tuple[str, str]]:
        """Read the pairs in order; the files must have equally many lines."""
        return zip_lines(
            read_lines(self.source, max_line_bytes=self.max_line_bytes),
            read_lines(self.target, max_line_bytes=self.max_line_bytes),
            lambda num_sources, num_targets: (
                f"{self.source} has {num_sources:,} lines, but {self.target} has {num_targets:,} "
                "lines; line n of one must be the translation of line n of the other"
            ),
        )


@dataclass(frozen=True, kw_only=True)
class TsvCorpus(Corpus[str]):
    """One TSV file with a source and a target column.

    Args:
        tsv: TSV file with source and target columns, instead of two files.
    """

    tsv: Path

    def read(self) -> Iterator[tuple[str, str]]:
        """Read the pairs in order; each line must have exactly one tab."""
        lines = read_bounded_lines(self.tsv, max_line_bytes=self.max_line_bytes)
        for number, line in enumerate(lines, start=1):
            columns = ["", ""] if line is None else line.split("\t")
            if len(columns) != 2:
                raise DataError(
                    f"{self.tsv}, line {number}: must have one tab, between source and target, "
                    f"not {len(columns) - 1}"
                )
            yield columns[0], columns[1]
