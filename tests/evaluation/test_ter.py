import pytest

from nmt.evaluation.table import METRICS


def test_ter_by_hand() -> None:
    # One word of four is replaced.
    assert METRICS["ter"]()(["a b c x"], ["a b c d"]).value == pytest.approx(25.0)
