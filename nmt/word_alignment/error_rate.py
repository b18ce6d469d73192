"""Alignment error rate: word alignments compared with manual alignments."""

import operator
from dataclasses import astuple, dataclass

from nmt.word_alignment.pharaoh import Alignment, GoldAlignment


@dataclass(frozen=True)
class AlignmentCounts:
    """Counts for the alignment error rate, summed over sentence pairs.

    Attributes:
        found: |A|, links found.
        sure: |S|, sure links.
        found_sure: |A & S|, links found that are sure.
        found_possible: |A & P|, links found that are possible.
    """

    found: int = 0
    sure: int = 0
    found_sure: int = 0
    found_possible: int = 0

    def __add__(self, other: "AlignmentCounts") -> "AlignmentCounts":
        return AlignmentCounts(*map(operator.add, astuple(self), astuple(other)))

    @property
    def error_rate(self) -> float:
        """Return AER = 1 - (|A & S| + |A & P|) / (|A| + |S|), from 0 (best) to 1; 0 without links.

        Source: Och and Ney 2003, "A Systematic Comparison of Various Statistical Alignment
        Models", Evaluation Methodology.
        """
        links = self.found + self.sure
        return 1.0 - (self.found_sure + self.found_possible) / links if links else 0.0

    @property
    def precision(self) -> float:
        """Return |A & P| / |A|, the share of links found that are possible; 1 if none is found."""
        return self.found_possible / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Return |A & S| / |S|, the share of sure links that are found; 1 if none is sure."""
        return self.found_sure / self.sure if self.sure else 1.0


def count_links(found: Alignment, gold: GoldAlignment) -> AlignmentCounts:
    """Count the links of one sentence pair; sum over the pairs for the error rate of a corpus."""
    return AlignmentCounts(
        found=len(found),
        sure=len(gold.sure),
        found_sure=len(found & gold.sure),
        found_possible=len(found & gold.possible),
    )
