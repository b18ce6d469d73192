import pytest

from nmt.core.durations import format_duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 s"),
        (39.4, "39 s"),
        (99.0, "99 s"),
        (99.9, "100 s"),
        (100.0, "2 min"),
        (120.0, "2 min"),
        (5_999.0, "100 min"),
        (6_000.0, "1.7 h"),
        (1_170.0, "20 min"),
        (6_300.0, "1.8 h"),
        (9.9 * 3_600, "9.9 h"),
        (9.95 * 3_600, "10 h"),
        (72_000.0, "20 h"),
        (47.6 * 3_600, "48 h"),
        (48 * 3_600.0, "2.0 days"),
        (2_000 * 86_400.0, "2,000 days"),
        (5 * 86_400.0, "5.0 days"),
        (12 * 86_400.0, "12 days"),
    ],
)
def test_the_unit_suits_the_length(seconds: float, said: str) -> None:
    assert format_duration(seconds) == said
