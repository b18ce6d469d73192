"""Trees of options as plain mappings and lists: in what two of them differ."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final

from nmt.config.messages import in_full, show

_NOT_SET: Final = object()


def diff(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """What each option that differs was and is, as ``before -> now``, by its key.

    A key is dotted, with the number of what is in a list: ``data.train[1].weight``. A group that
    became null, or is on one side alone, differs as a whole.

    Args:
        before: options, as pydantic's `model_dump(mode="json")` gives them.
        now: the same of another configuration.
    """
    return dict(_compare(before, now, ""))


def _compare(before: Any, now: Any, key: str) -> Iterator[tuple[str, str]]:
    match before, now:
        case dict(), dict():
            for name in {**before, **now}:
                inside = f"{key}.{name}" if key else name
                old, new = before.get(name, _NOT_SET), now.get(name, _NOT_SET)
                yield from _compare(old, new, inside)
        case list(), list():
            pairs = zip_longest(before, now, fillvalue=_NOT_SET)
            for number, (old, new) in enumerate(pairs):
                yield from _compare(old, new, f"{key}[{number}]")
        case _ if before != now:
            yield key, f"{_format_value(before)} -> {_format_value(now)}"


def _format_value(value: Any) -> str:
    """Groups are shortened, but not texts: two paths may be alike for a long way."""
    if value is _NOT_SET:
        return "not set"
    return show(value) if isinstance(value, dict | list) else in_full(value)
