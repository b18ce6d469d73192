"""Tokens numbered anew, there and back."""

import pytest
import torch

from nmt.search.columns import Columns
from nmt.search.request import Constraints

COLUMNS = Columns([90, 7, 7, 12])


def test_tokens_have_columns_and_special_symbols_keep_their_numbers() -> None:
    assert COLUMNS.tokens.tolist() == [0, 1, 2, 3, 7, 12, 90]
    found = COLUMNS.find(torch.tensor([[3, 7], [90, 8], [0, 91]]))
    assert found.tolist() == [[3, 4], [6, -1], [0, -1]]


def test_what_is_asked_for_goes_in_and_what_is_found_comes_out() -> None:
    asked = Constraints(prefix=(7, 90), phrases=((12,), (90, 7))).in_columns(COLUMNS)
    assert asked == Constraints((4, 6), ((5,), (6, 4)))
    assert COLUMNS.restore((4, 6, 5)) == (7, 90, 12) and COLUMNS.restore(()) == ()


def test_constraint_without_a_column_is_a_programming_error() -> None:
    with pytest.raises(AssertionError):
        Constraints(prefix=(8,)).in_columns(COLUMNS)
