"""Trees of options as plain mappings and lists: places in them, and in what two differ."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final

from nmt.config.messages import in_full, show

Tree = dict[str, Any]
KeyPath = tuple[str | int, ...]
"""Keys, and numbers of what is in a list, from the root of a tree to an option."""

_NOT_SET: Final = object()


def at(tree: Any, path: KeyPath) -> Any:
    """Return what is at a path of a tree; None: nothing."""
    for part in path:
        children = dict(enumerate(tree)) if isinstance(tree, list) else tree
        tree = children.get(part) if isinstance(children, dict) else None
    return tree


def format_path(path: KeyPath) -> str:
    """Return a path as it is written: ``data.train[1].weight``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def diff(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Return what each option that differs was and is, as ``before -> now``, by its path.

    A group that became null, or is in one of them only, differs as a whole.

    Args:
        before: options, as pydantic's `model_dump(mode="json")` gives them.
        now: the same of another configuration.
    """
    return dict(_compare(before, now, ()))


def _compare(before: Any, now: Any, path: KeyPath) -> Iterator[tuple[str, str]]:
    match before, now:
        case dict(), dict():
            for key in {**before, **now}:
                old, new = before.get(key, _NOT_SET), now.get(key, _NOT_SET)
                yield from _compare(old, new, (*path, key))
        case list(), list():
            pairs = zip_longest(before, now, fillvalue=_NOT_SET)
            for number, (old, new) in enumerate(pairs):
                yield from _compare(old, new, (*path, number))
        case _ if before != now:
            yield format_path(path), f"{_format_value(before)} -> {_format_value(now)}"


def _format_value(value: Any) -> str:
    """Shorten groups, but not texts: two file names may be alike for a long way."""
    if value is _NOT_SET:
        return "not set"
    return show(value) if isinstance(value, dict | list) else in_full(value)
