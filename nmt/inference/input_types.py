"""Types of what a program gives a translator, checked before it is sorted into batches."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def check_lines(lines: Iterable[T], *kinds: type, first_number: int = 1) -> Iterator[T]:
    """Yield the lines, each of which must be of one of these types.

    Args:
        lines: what `translate` was given.
        kinds: what a line may be.
        first_number: of the first line, for messages.

    Raises:
        TypeError: a line is of another type, or what was given is one line, or no lines at all.
    """
    _require_several(lines, kinds, "translate", "line", "[line]")
    for number, line in enumerate(lines, start=first_number):
        if not isinstance(line, kinds):
            raise TypeError(
                f"translate: line {number} is {_type(line)}; each line must be {_names(kinds)}"
            )
        yield line


def check_pairs(pairs: Iterable[T], source: type, function: str) -> Iterator[T]:
    """Yield the pairs, each of which must be a source of this type and a text.

    Args:
        pairs: what the function was given.
        source: what a source must be.
        function: its name, for messages.

    Raises:
        TypeError: a pair is something else, or what was given is one pair, or no pairs at all.
    """
    _require_several(pairs, (source,), function, "pair", "[(source, target)]")
    pair: Any
    for number, pair in enumerate(pairs, start=1):
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        if not (is_pair and isinstance(pair[0], source) and isinstance(pair[1], str)):
            raise TypeError(
                f"{function}: pair {number} is {_type(pair)}; each pair must be (source, target): "
                f"({source.__name__}, str)"
            )
        yield pair


def _require_several(
    given: Any, kinds: tuple[type, ...], function: str, what: str, one: str
) -> None:
    """Refuse a single text, whose characters would be taken for lines, and what has no items."""
    if isinstance(given, (*kinds, str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(
            f"{function} takes a list of {what}s, not {_type(given)}; of one {what}, write "
            f"{function}({one})"
        )


def _type(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_type, value))})"
    return "None" if value is None else type(value).__name__


def _names(kinds: tuple[type, ...]) -> str:
    return " or ".join(kind.__name__ for kind in kinds)
