"""What a terminal shows: no control characters, and durations that are read at a glance."""

import pytest

from nmt.core.console import escape_controls, format_duration, print_notice


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 中 \N{COMBINING ACUTE ACCENT}", "plain ä 中 \N{COMBINING ACUTE ACCENT}"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x07\x00\x7f\r", r"\x07\x00\x7f\r"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("\u200d joins, and is text", "\u200d joins, and is text"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert escape_controls(text) == shown


def test_notices_go_to_stderr_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_notice("runs/\x1b]0;title\x07")
    assert capsys.readouterr() == ("", "runs/\\x1b]0;title\\x07\n")


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
def test_duration_is_rounded_in_a_unit_that_suits_it(seconds: float, said: str) -> None:
    assert format_duration(seconds) == said
