import pytest
from hypothesis import given, strategies as st

from nmt.word_alignment.error_rate import AlignmentCounts, count_links
from nmt.word_alignment.pharaoh import GoldAlignment

LINKS = st.frozensets(st.tuples(st.integers(0, 99), st.integers(0, 99)))


def gold(sure, possible=frozenset()):
    return GoldAlignment(frozenset(sure), frozenset(sure) | frozenset(possible))


class TestErrorRate:
    def test_by_hand(self):
        """A has 4 links: one sure, two only possible, one wrong; a second sure one is missed.

        AER = 1 - (1 + 3) / (4 + 2) = 1/3.
        """
        truth = gold({(0, 0), (1, 1)}, {(2, 2), (2, 3)})
        counts = count_links(frozenset({(0, 0), (2, 2), (2, 3), (5, 5)}), truth)
        assert counts == AlignmentCounts(found=4, sure=2, found_sure=1, found_possible=3)
        assert counts.error_rate == pytest.approx(1 / 3)
        assert counts.precision == 3 / 4
        assert counts.recall == 1 / 2

    def test_of_a_corpus_is_of_the_sums(self):
        """Pairs with 3 and 1 sure links, all and none found: 1 - (3 + 3) / (4 + 4)."""
        one, other = frozenset({(0, 0), (1, 1), (2, 2)}), frozenset({(0, 1)})
        counts = count_links(one, gold(one)) + count_links(other, gold({(0, 0)}))
        assert counts.error_rate == pytest.approx(1 / 4)

    def test_nothing_adds_nothing(self):
        assert AlignmentCounts() + AlignmentCounts(4, 3, 2, 1) == AlignmentCounts(4, 3, 2, 1)

    def test_of_nothing_is_zero(self):
        counts = AlignmentCounts()
        assert (counts.error_rate, counts.precision, counts.recall) == (0.0, 1.0, 1.0)

    @given(LINKS, LINKS)
    def test_error_rate_is_zero_between_sure_and_possible_links(self, sure, possible):
        truth = gold(sure, possible)
        assert count_links(truth.sure, truth).error_rate == 0.0
        assert count_links(truth.possible, truth).error_rate == pytest.approx(0.0)

    @given(LINKS, LINKS, LINKS)
    def test_is_between_zero_and_one(self, found, sure, possible):
        assert 0.0 <= count_links(found, gold(sure, possible)).error_rate <= 1.0

    def test_without_possible_links_is_one_minus_f1(self):
        """P = 1/2, R = 1/3: F1 = 2/5."""
        counts = count_links(frozenset({(0, 0), (9, 9)}), gold({(0, 0), (1, 1), (2, 2)}))
        assert counts.error_rate == pytest.approx(1 - 2 / 5)
