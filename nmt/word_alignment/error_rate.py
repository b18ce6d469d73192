"""The alignment error rate: word alignments measured against those that people made."""

import operator
from dataclasses import astuple, dataclass

from nmt.word_alignment.pharaoh import Alignment, GoldAlignment


@dataclass(frozen=True)
class AlignmentCounts:
    """What alignment error rate is made of, summed over any number of sentence pairs.

    Attributes:
        found: links found, |A|.
        sure: sure links, |S|.
        found_sure: links found that are sure, |A & S|.
        found_possible: links found that are possible, |A & P|.
    """

    found: int = 0
    sure: int = 0
    found_sure: int = 0
    found_possible: int = 0

    def __add__(self, other: "AlignmentCounts") -> "AlignmentCounts":
        return AlignmentCounts(*map(operator.add, astuple(self), astuple(other)))

    @property
    def error_rate(self) -> float:
        """AER = 1 - (|A & S| + |A & P|) / (|A| + |S|), between 0 (best) and 1; 0 of nothing.

        Och and Ney 2003, "A Systematic Comparison of Various Statistical Alignment Models",
        Evaluation Methodology.
        """
        links = self.found + self.sure
        return 1.0 - (self.found_sure + self.found_possible) / links if links else 0.0

    @property
    def precision(self) -> float:
        """|A & P| / |A|: the share of the links found that may be; 1 where none is found."""
        return self.found_possible / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """|A & S| / |S|: the share of the sure links that are found; 1 where there is none."""
        return self.found_sure / self.sure if self.sure else 1.0


def count_links(found: Alignment, gold: GoldAlignment) -> AlignmentCounts:
    """One sentence pair, measured; the sum over a corpus has the error rate of the corpus."""
    return AlignmentCounts(
        found=len(found),
        sure=len(gold.sure),
        found_sure=len(found & gold.sure),
        found_possible=len(found & gold.possible),
    )
