"""A corpus format: CSV files with a header, as a spreadsheet exports them."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nmt.core.errors import DataError
from nmt.data.formats.corpus import Corpus
from nmt.data.formats.lines import read_lines


@dataclass(frozen=True, kw_only=True)
class Csv(Corpus[str]):
    """A CSV file with a header.

    Args:
        file: Path of the CSV file; compressed files work, too.
        source_column: Name of the column of source sentences.
        target_column: Name of the column of target sentences.
    """

    file: Path
    source_column: str = "source"
    target_column: str = "target"

    def read(self) -> Iterator[tuple[str, str]]:
        """Read the pairs in order."""
        rows = csv.DictReader(read_lines(self.file, max_line_bytes=self.max_line_bytes))
        columns = rows.fieldnames or []
        for name in (self.source_column, self.target_column):
            if name not in columns:
                raise DataError(
                    f"{self.file}: no column {name!r}; choose from {', '.join(columns)}"
                )
        for row in rows:
            yield row[self.source_column] or "", row[self.target_column] or ""
