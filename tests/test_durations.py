import pytest

from nmt.durations import format_duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 s"),
        (39.4, "39 s"),
        (99.0, "99 s"),
        (120.0, "2 min"),
        (1_170.0, "20 min"),
        (6_300.0, "1.8 h"),
        (72_000.0, "20 h"),
        (5 * 86_400.0, "5.0 days"),
        (12 * 86_400.0, "12 days"),
    ],
)
def test_the_unit_suits_the_length(seconds: float, said: str) -> None:
    assert format_duration(seconds) == said
