import numpy as np
import pytest

from nmt.word_alignment.from_attention import hard_alignment, merge_tokens


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
