import pytest

from nmt.evaluation.table import METRICS


def test_exact_match_by_hand() -> None:
    # The first and the fourth of four are their references; case, marks and inner blanks count.
    references = ["a red dot", "A dog .", "b c", "x"]
    score = METRICS["exact_match"]()([" a red dot\n", "a dog .", "b  c", "x"], references)
    assert score.value == 50.0
    assert METRICS["exact_match"]()(["a", "b", "c"], ["a", "x", "y"]).value == pytest.approx(
        100 / 3
    )


def test_exact_match_takes_lines_as_they_are() -> None:
    assert METRICS["exact_match"]()(["", "a"], ["", "b"]).value == 50.0


def test_exact_match_against_two_references_by_hand() -> None:
    score = METRICS["exact_match"]()(
        ["a", "b", "c", "d"], ["a", "x", "x", "x"], ["y", "b ", "y", "y"]
    )
    assert score.value == 50.0
