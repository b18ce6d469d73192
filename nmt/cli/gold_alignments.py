"""Gold alignments, for the error rate of `nmt align --gold`."""

import logging
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.core.console import print_notice
from nmt.core.errors import DataError
from nmt.data.formats.lines import read_lines
from nmt.word_alignment.error_rate import AlignmentCounts, count_links
from nmt.word_alignment.pharaoh import GoldAlignment, parse_pharaoh

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
        self._of_heads: defaultdict[int, AlignmentCounts] = defaultdict(AlignmentCounts)
        self._is_auto = is_auto
        # For each side of a line with more units than words: whether its links may be of words.
        self._fits_words: list[bool] = []

    def compare(
        self, number: int, alignment: "SentenceAlignment", pair: "tuple[Source, str]"
    ) -> GoldAlignment:
        """Count the links of pair `number` (`pair` is the pair as read); return its gold links."""
        from nmt.word_alignment.from_attention import hard_alignment

        where = f"{self._path}, line {number}"
        line = next(self._lines, None)
        if line is None:
            raise DataError(f"{self._path}: has {number - 1:,} lines; give one for each pair")
        sizes = len(alignment.source_words), len(alignment.target_words)
        hint = f" (units here: {alignment.units}); set --alignment-units to the units of the file"
        gold = parse_pharaoh(line, where=where, sizes=sizes, hint=hint)
        self._counts += count_links(alignment.links, gold)
        for head, weights in enumerate(alignment.heads):
            self._of_heads[head] += count_links(hard_alignment(weights), gold)
        if not (self._is_auto and gold.possible):
            return gold
        for side, (text, size) in enumerate(zip(pair, sizes, strict=True)):
            if isinstance(text, str) and size > (num_words := len(text.split())):
                self._fits_words.append(all(link[side] < num_words for link in gold.possible))
        return gold

    def finish(self, num_pairs: int, *, per_head: bool) -> None:
        """Print error rates; refuse extra lines, and warn if links seem to count words.

        Args:
            num_pairs: number of pairs that were compared.
            per_head: also print the error rate of each head, if there are several.
        """
        if next(self._lines, None) is not None:
            raise DataError(
                f"{self._path}: has more lines than the {num_pairs:,} pairs; give one for each pair"
            )
        if self._fits_words and all(self._fits_words):
            logging.getLogger(__name__).warning(
                f"{self._path}: its links seem to count words between spaces, but some words "
                "were split into characters; if so, give --alignment-units words"
            )
        print_notice(_format(self._counts))
        for head, counts in self._of_heads.items() if per_head else ():
            print_notice(f"head {head + 1}: {_format(counts)}")


def _format(counts: AlignmentCounts) -> str:
    return (
        f"alignment error rate {100 * counts.error_rate:.2f}% (precision "
        f"{100 * counts.precision:.2f}%, recall {100 * counts.recall:.2f}%)"
    )
