"""Parallel text: two files, line for line, or one TSV file."""

from collections.abc import Iterator

from nmt.core.errors import DataError
from nmt.data.formats.corpus import Corpus
from nmt.data.formats.lines import read_bounded_lines, read_lines


class TextCorpus(Corpus[str]):
    """Two text files, line for line; without `target`, a TSV file of source and target columns."""

    item = "line"
    correspondence = "line n of one must be the translation of line n of the other"

    def read_sources(self) -> Iterator[str]:
        """Read the source sentences, in order."""
        return read_lines(self.source, max_line_bytes=self.max_line_bytes)

    def _read_unchecked(self) -> Iterator[tuple[str, str]]:
        """Read the pairs of two files or of a TSV file in order; the files may be empty."""
        return self._read_tsv() if self.target is None else super()._read_unchecked()

    def _read_tsv(self) -> Iterator[tuple[str, str]]:
        lines = read_bounded_lines(self.source, max_line_bytes=self.max_line_bytes)
        for number, line in enumerate(lines, start=1):
            columns = ["", ""] if line is None else line.split("\t")
            if len(columns) != 2:
                raise DataError(
                    f"{self.source}, line {number}: {len(columns) - 1} tabs, where one is needed, "
                    "between source and target"
                )
            yield columns[0], columns[1]
