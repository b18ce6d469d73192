"""Text for a terminal: notices, the first warnings of a kind, and durations."""

import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final

# `extra` of a log record whose text is shown once by each handler with a `OnceFilter`.
ONCE: Final[Mapping[str, object]] = {"once": True}

_MOST_NAMED: Final = 10  # lines with warnings of one kind

# The seconds from which a unit is used, the seconds of the unit, and its name.
_UNITS: Final = ((-inf, 1, "s"), (100, 60, "min"), (6_000, 3_600, "h"), (172_800, 86_400, "days"))

logger = logging.getLogger(__name__)

# C0, C1 and DEL move the cursor or rename the window, and bidirectional controls reorder the
# displayed text. Names and values from strangers may contain them.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def escape_controls(text: str) -> str:
    r"""Write control characters as in Python's strings (``\x1b``); keep tabs and line feeds."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def print_notice(text: str) -> None:
    """Print something for the user on stderr, with control characters escaped."""
    print(escape_controls(text), file=sys.stderr)


@dataclass
class FirstWarnings:
    """Warnings of one kind about lines: the first ten are logged, then one says there are more.

    Attributes:
        more: the message that replaces all warnings after the first ten.
        extra: `extra` of the log records, such as `ONCE`.
    """

    more: str
    extra: Mapping[str, object] | None = None
    _num_lines: int = field(default=0, init=False)

    def warn(self, message: str) -> None:
        """Log a warning about a line; the eleventh logs `more`, and later ones log nothing."""
        self._num_lines += 1
        if self._num_lines <= _MOST_NAMED:
            logger.warning("%s", message, extra=self.extra)
        elif self._num_lines == _MOST_NAMED + 1:
            logger.warning("%s", self.more, extra=self.extra)


def format_duration(seconds: float) -> str:
    """Round to a unit that gives one to three figures: `39 s`, `20 min`, `3.5 h`, `12 days`."""
    size, name = [(size, name) for least, size, name in _UNITS if seconds >= least][-1]
    number = seconds / size
    is_coarse = name in ("h", "days")
    return f"{number:.1f} {name}" if is_coarse and number < 9.95 else f"{number:,.0f} {name}"
