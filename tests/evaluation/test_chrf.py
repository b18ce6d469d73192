import pytest

from nmt.evaluation.table import METRICS


def test_chrf_by_hand() -> None:
    # Half of the characters and none of the bigrams, on both sides; words do not count.
    assert METRICS["chrf"]()(["ab"], ["ac"]).value == pytest.approx(100 * (1 / 2 + 0) / 2)
    # Precision 1, recall 1/2, which counts twice: F2 = 5 P R / (4 P + R).
    assert METRICS["chrf"]()(["a"], ["ab"]).value == pytest.approx(100 * 2.5 / 4.5)
