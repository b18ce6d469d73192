"""Gold alignments, for the error rate of `nmt align --gold`."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.core.console import print_notice
from nmt.core.errors import DataError
from nmt.data.formats.lines import read_lines
from nmt.word_alignment.error_rate import AlignmentCounts, count_links
from nmt.word_alignment.pharaoh import parse_pharaoh

if TYPE_CHECKING:
    from nmt.data.formats.grids import Source
    from nmt.inference.forced_decoding import SentenceAlignment


class GoldAlignments:
    """Alignments of a file, which are compared with a model's alignments line by line.

    Args:
        path: path of the file.
        max_line_bytes: limit of a line in bytes; a longer line is read as an empty one.
        is_auto: whether the model's alignments have automatic units, chosen for each word.
    """

    def __init__(self, path: Path, max_line_bytes: int, *, is_auto: bool) -> None:
        self._path = path
        self._lines = read_lines(path, max_line_bytes=max_line_bytes)
        self._counts = AlignmentCounts()
        self._is_auto = is_auto
        # For each side of a line with more units than words: whether its links may be of words.
        self._fits_words: list[bool] = []

    def compare(
        self, number: int, alignment: "SentenceAlignment", pair: "tuple[Source, str]"
    ) -> None:
        """Count the links of pair `number`; `pair` is the pair as read."""
        where = f"{self._path}, line {number}"
        line = next(self._lines, None)
        if line is None:
            raise DataError(f"{self._path}: has {number - 1:,} lines; give one for each pair")
        sizes = len(alignment.source_words), len(alignment.target_words)
        hint = f" (units here: {alignment.units}); set --alignment-units to the units of the file"
        gold = parse_pharaoh(line, where=where, sizes=sizes, hint=hint)
        self._counts += count_links(alignment.links, gold)
        if not (self._is_auto and gold.possible):
            return
        for side, (text, size) in enumerate(zip(pair, sizes, strict=True)):
            if isinstance(text, str) and size > (num_words := len(text.split())):
                self._fits_words.append(all(link[side] < num_words for link in gold.possible))

    def finish(self, num_pairs: int) -> None:
        """Print the error rate; refuse extra lines, and warn if links seem to count words."""
        if next(self._lines, None) is not None:
            raise DataError(
                f"{self._path}: has more lines than the {num_pairs:,} pairs; give one for each pair"
            )
        if self._fits_words and all(self._fits_words):
            logging.getLogger(__name__).warning(
                f"{self._path}: its links seem to count words between spaces, but some words "
                "were split into characters; if so, give --alignment-units words"
            )
        print_notice(
            f"alignment error rate {100 * self._counts.error_rate:.2f}% (precision "
            f"{100 * self._counts.precision:.2f}%, recall {100 * self._counts.recall:.2f}%)"
        )
