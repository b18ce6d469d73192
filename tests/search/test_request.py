"""Tokens to indices of a subset, and back."""

import pytest
import torch

from nmt.search.request import Constraints, VocabularySubset

SUBSET = VocabularySubset([90, 7, 7, 12])


def test_special_symbols_keep_their_indices() -> None:
    assert SUBSET.tokens.tolist() == [0, 1, 2, 3, 7, 12, 90]
    found = SUBSET.find_indices(torch.tensor([[3, 7], [90, 8], [0, 91]]))
    assert found.tolist() == [[3, 4], [6, -1], [0, -1]]


def test_constraints_to_indices_and_indices_to_tokens() -> None:
    asked = Constraints(prefix=(7, 90), phrases=((12,), (90, 7))).in_subset(SUBSET)
    assert asked == Constraints((4, 6), ((5,), (6, 4)))
    assert SUBSET.to_tokens((4, 6, 5)) == (7, 90, 12) and SUBSET.to_tokens(()) == ()


def test_constraint_outside_the_subset_fails_an_assertion() -> None:
    with pytest.raises(AssertionError):
        Constraints(prefix=(8,)).in_subset(SUBSET)
