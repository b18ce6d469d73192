"""Alignments made by hand, which `nmt align --gold` compares with."""

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
    """The alignments of a file, compared one after the other with those that are found.

    Args:
        path: the file.
        max_line_bytes: the most bytes of a line; a longer one is read as an empty line.
        is_auto: the units of the alignments that it is compared with are found for each word.
    """

    def __init__(self, path: Path, max_line_bytes: int, *, is_auto: bool) -> None:
        self._path = path
        self._lines = read_lines(path, max_line_bytes=max_line_bytes)
        self._counts = AlignmentCounts()
        self._is_auto = is_auto
        # For each side of a line that has more units than words: could its links be of words?
        self._fits_words: list[bool] = []

    def compare(
        self, number: int, alignment: "SentenceAlignment", pair: "tuple[Source, str]"
    ) -> None:
        """Count the links of pair `number`, which is given as it was read."""
        where = f"{self._path}:{number}"
        line = next(self._lines, None)
        if line is None:
            raise DataError(f"{where}: no such line; the file needs a line for each pair")
        sizes = len(alignment.source_words), len(alignment.target_words)
        hint = f" (units here: {alignment.units}); --alignment-units must be those of the file"
        gold = parse_pharaoh(line, where=where, num_source=sizes[0], num_target=sizes[1], hint=hint)
        self._counts += count_links(alignment.links, gold)
        if not (self._is_auto and gold.possible):
            return
        for side, (text, size) in enumerate(zip(pair, sizes, strict=True)):
            if isinstance(text, str) and size > (num_words := len(text.split())):
                self._fits_words.append(all(link[side] < num_words for link in gold.possible))

    def finish(self, num_pairs: int) -> None:
        """Refuse more lines than pairs, warn of links that seem to count words, print the rate."""
        if next(self._lines, None) is not None:
            raise DataError(
                f"{self._path}: has more lines than the {num_pairs:,} pairs; it needs a line for "
                "each pair"
            )
        if self._fits_words and all(self._fits_words):
            logging.getLogger(__name__).warning(
                f"{self._path}: no link is beyond the words between spaces, but some of these were "
                "split into characters; if it counts words, give --alignment-units words"
            )
        print_notice(
            f"alignment error rate {100 * self._counts.error_rate:.2f}% (precision "
            f"{100 * self._counts.precision:.2f}%, recall {100 * self._counts.recall:.2f}%)"
        )
