"""Operations on trees of options: look up paths, find names, compare two trees."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final, get_args

from pydantic import BaseModel

from nmt.config.experiment import Config
from nmt.config.messages import in_full, show
from nmt.config.registry import table_in

Tree = dict[str, Any]
# Keys and list indices from the root of a tree to an option.
KeyPath = tuple[str | int, ...]

_NOT_SET: Final = object()


def at(tree: Any, path: KeyPath) -> Any:
    """Return the value at a path of a tree; None if there is none."""
    for part in path:
        children = dict(enumerate(tree)) if isinstance(tree, list) else tree
        tree = children.get(part) if isinstance(children, dict) else None
    return tree


def format_path(path: KeyPath) -> str:
    """Format a path as in ``data.train[1].weight``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def option_paths(name: str, *, of_plugins: bool) -> list[str]:
    """Return the dotted keys that end in a name, in the order of the tree.

    Args:
        name: the name of an option.
        of_plugins: whether to search the options of plug-ins too, which imports them all.
    """
    keys = _walk(Config, "", of_plugins)
    return list(dict.fromkeys(key for key in keys if key.rpartition(".")[2] == name))


def _walk(model: type[BaseModel], above: str, of_plugins: bool) -> Iterator[str]:
    for key, field in model.model_fields.items():
        name = field.alias or key
        yield above + name
        for group in groups_in(field.annotation):
            yield from _walk(group, f"{above}{name}.", of_plugins)
        if of_plugins and (table := table_in(field)) is not None:
            for plugin in table.classes:
                yield from _walk(table.options(plugin), f"{above}{name}.", of_plugins)


def find_default(path: KeyPath, tree: Tree) -> str | None:
    """Return the name of the default plug-in at a path, if any.

    Args:
        path: the path.
        tree: options that name the plug-ins above it; else they are the defaults.
    """
    model: Any = Config
    default = None
    for depth, part in enumerate(path, start=1):
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return None
        default = field.get_default(call_default_factory=True)
        model = next(iter(groups_in(field.annotation)), None)
        if depth < len(path) and (table := table_in(field)) is not None:
            name = at(tree, (*path[:depth], "name")) or getattr(default, "name", None)
            model = table.options(name) if name in table.names else None
    return getattr(default, "name", None)


def groups_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the option groups in a type: the type itself, or the members of a list or union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [group for part in get_args(annotation) for group in groups_in(part)]


def diff(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Return the changed options as ``before -> now``, by path.

    A group that became null, or that only one side has, is reported as a whole.

    Args:
        before: options, from pydantic's `model_dump(mode="json")`.
        now: options of another configuration, in the same format.
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
    """Format a value; groups are shortened, but not texts, which may differ only at the end."""
    if value is _NOT_SET:
        return "not set"
    return show(value) if isinstance(value, dict | list) else in_full(value)
