"""Alignments made by hand, which `nmt align --gold` compares with."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.cli.inputs import require_readable
from nmt.core.errors import DataError

if TYPE_CHECKING:
    from nmt.data.formats.grids import Source
    from nmt.inference.forced_decoding import SentenceAlignment
    from nmt.word_alignment.pharaoh import GoldAlignment

logger = logging.getLogger(__name__)


class Gold:
    """The alignments of a file, asked for one after the other.

    Args:
        path: the file.
        max_line_bytes: the most bytes of a line.
        is_auto: the units of the alignments that it is compared with are found for each word.
    """

    def __init__(self, path: Path, max_line_bytes: int, *, is_auto: bool) -> None:
        from nmt.data.formats.lines import read_lines

        self._path = path
        require_readable(path)
        self._is_auto = is_auto
        self._num_split = 0  # sides of lines with links that have more units than words
        self._counts_words = True  # as far as seen, their links could be of words
        self._lines = read_lines(self._path, max_line_bytes=max_line_bytes)

    def next(
        self, number: int, alignment: "SentenceAlignment", pair: "tuple[Source, str]"
    ) -> "GoldAlignment":
        """Return the alignment of pair `number`, which is given as it was read."""
        from nmt.word_alignment.pharaoh import parse_pharaoh

        line = next(self._lines, None)
        if line is None:
            raise DataError(
                f"{self._path} has {number - 1:,} lines, but there are more pairs: "
                "it needs a line for each pair"
            )
        gold = parse_pharaoh(
            line,
            where=f"{self._path}:{number}",
            num_source=len(alignment.source_words),
            num_target=len(alignment.target_words),
            hint=f" (units here: {alignment.units}); --alignment-units must be those of the file",
        )
        if self._is_auto:
            sides = alignment.source_words, alignment.target_words
            for side, (text, words) in enumerate(zip(pair, sides, strict=True)):
                num_words = len(text.split()) if isinstance(text, str) else len(words)
                if len(words) > num_words and gold.possible:
                    self._num_split += 1
                    self._counts_words &= all(link[side] < num_words for link in gold.possible)
        return gold

    def finish(self, num_pairs: int) -> None:
        """Refuse more lines than pairs, and warn of links that seem to count other units."""
        if self._num_split and self._counts_words:
            logger.warning(
                "%s: no link is beyond the words between spaces, but some of these were split "
                "into characters; if it counts words, give --alignment-units words",
                self._path,
            )
        rest = sum(1 for _ in self._lines)
        if rest:
            raise DataError(
                f"{self._path} has {num_pairs + rest:,} lines, but there are {num_pairs:,} pairs: "
                "it needs a line for each pair"
            )
