import numpy as np
import pytest
from hypothesis import given, strategies as st

from nmt.alignment.pharaoh import GoldAlignment, format_pharaoh, parse_pharaoh
from nmt.alignment.word_alignment import AlignmentCounts, count_links, hard_alignment, merge_tokens
from nmt.core.errors import DataError

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


class TestPharaoh:
    def test_is_sorted_by_source_then_target(self):
        assert format_pharaoh({(10, 0), (2, 1), (2, 0)}) == "2-0 2-1 10-0"

    @given(LINKS)
    def test_reads_what_it_writes(self, links):
        read = parse_pharaoh(format_pharaoh(links), where="x")
        assert read == GoldAlignment(links, links)

    def test_possible_links_are_read(self):
        assert parse_pharaoh("0-0 1p2\n", where="x") == gold({(0, 0)}, {(1, 2)})

    @pytest.mark.parametrize("item", ["1", "a-b", "1-", "-1-2", "1-2-3", "1_2", "1-²"])
    def test_refuses_what_is_no_link(self, item):
        with pytest.raises(DataError, match=r"gold\.align:7: .* is no alignment; write i-j"):
            parse_pharaoh(f"0-0 {item}", where="gold.align:7")

    def test_refuses_words_that_are_not_there(self):
        assert parse_pharaoh("2-1", where="x", num_source=3, num_target=2) == gold({(2, 1)})
        with pytest.raises(DataError, match=r"x:1: '3-1' names source word 3, .* has 3 words"):
            parse_pharaoh("3-1", where="x:1", num_source=3, num_target=2)
        with pytest.raises(DataError, match=r"x:1: '2-2' names target word 2, .* has 2 words"):
            parse_pharaoh("2-2", where="x:1", num_source=3, num_target=2)


def merge_to_words(weights, source_word_of_token, target_word_of_token):
    return merge_tokens(weights, *map(membership, (source_word_of_token, target_word_of_token)))


def membership(word_of_token):
    """A row for each token: 1 for its word, 0 for the others."""
    return np.eye(max(word_of_token, default=-1) + 1)[np.array(word_of_token, dtype=int)]


class TestMergeTokens:
    # Tokens of the source: 0 0 1 EOS; of the target: 0 1 1 EOS.
    WEIGHTS = np.array(
        [[0.5, 0.2, 0.2, 0.1], [0.1, 0.1, 0.6, 0.2], [0.0, 0.0, 0.2, 0.8], [0.0, 0.0, 0.0, 1.0]]
    )

    def test_sums_over_source_tokens_and_averages_over_target_tokens(self):
        """Row of word 1: mean of (0.2, 0.6) and (0.0, 0.2); EOS takes the rest."""
        merged = merge_to_words(self.WEIGHTS, [0, 0, 1], [0, 1, 1])
        np.testing.assert_allclose(merged, [[0.7, 0.2], [0.1, 0.4]])

    def test_without_eos_is_the_same(self):
        merged = merge_to_words(self.WEIGHTS[:-1, :-1], [0, 0, 1], [0, 1, 1])
        np.testing.assert_array_equal(merged, merge_to_words(self.WEIGHTS, [0, 0, 1], [0, 1, 1]))

    def test_leaves_whole_words_as_they_are(self):
        merged = merge_to_words(self.WEIGHTS, [0, 1, 2], [0, 1, 2])
        np.testing.assert_allclose(merged, self.WEIGHTS[:-1, :-1])

    def test_keeps_all_that_is_not_on_eos(self):
        weights = np.random.default_rng(1).dirichlet(np.ones(6), size=5)
        merged = merge_to_words(weights, [0, 1, 1, 2, 2], [0, 0, 1, 1])
        np.testing.assert_allclose(merged.sum(), (1 - weights[:4, -1]).sum() / 2)

    @pytest.mark.parametrize(
        ("source", "target", "shape"), [([], [0], (1, 0)), ([0], [], (0, 1)), ([], [], (0, 0))]
    )
    def test_takes_empty_sentences(self, source, target, shape):
        weights = np.ones((len(target) + 1, len(source) + 1)) / (len(source) + 1)
        assert merge_to_words(weights, source, target).shape == shape

    def test_a_token_in_two_words_is_shared(self):
        """A third of the token is in the first word; the second looks at both tokens alike."""
        weights = np.array([[0.6, 0.4], [0.2, 0.8]])
        shares = np.array([[1 / 3, 2 / 3], [0.0, 1.0]])
        counts = np.array([[1.0, 2.0], [0.0, 2.0]])
        merged = merge_tokens(weights, shares, counts)
        np.testing.assert_allclose(merged, [[0.2, 0.8], [0.4 / 3, 1 - 0.4 / 3]])

    def test_a_word_without_tokens_looks_at_nothing(self):
        merged = merge_tokens(np.array([[0.9, 0.1]]), np.ones((1, 1)), np.array([[1.0, 0.0]]))
        np.testing.assert_allclose(merged, [[0.9], [0.0]])
        assert hard_alignment(merged) == {(0, 0)}


class TestHardAlignment:
    WEIGHTS = np.array([[0.1, 0.8], [0.4, 0.4], [0.05, 0.0]])

    def test_takes_the_best_source_word_of_each_target_word(self):
        assert hard_alignment(self.WEIGHTS) == {(1, 0), (0, 1), (0, 2)}

    def test_weights_at_or_below_the_threshold_have_no_link(self):
        assert hard_alignment(self.WEIGHTS, threshold=0.4) == {(1, 0)}

    def test_word_without_attention_has_no_link(self):
        assert hard_alignment(np.zeros((1, 2))) == frozenset()

    @pytest.mark.parametrize("shape", [(0, 0), (2, 0), (0, 2)])
    def test_takes_empty_sentences(self, shape):
        assert hard_alignment(np.zeros(shape)) == frozenset()
