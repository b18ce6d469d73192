"""How long something takes, as one says it."""

from typing import Final

# Seconds of a unit -> its name, and up to how many of it one counts.
_UNITS: Final = ((1, "s", 100), (60, "min", 100), (3_600, "h", 48))
_SECONDS_OF_A_DAY: Final = 86_400


def format_duration(seconds: float) -> str:
    """In the unit that gives one to three figures: `39 s`, `20 min`, `3.5 h`, `12 days`."""
    for size, name, most in _UNITS:
        if seconds < most * size:
            return f"{_rounded(seconds / size, name == 'h')} {name}"
    return f"{_rounded(seconds / _SECONDS_OF_A_DAY, True)} days"


def _rounded(number: float, is_coarse: bool) -> str:
    """With a decimal where the unit is coarse and the number small."""
    return f"{number:.1f}" if is_coarse and number < 9.95 else f"{number:,.0f}"
