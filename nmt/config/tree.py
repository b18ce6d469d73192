"""The tree of options: what is at a path of it, where a name is, and in what two trees differ."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nmt.config.experiment import Config
from nmt.config.messages import in_full, show
from nmt.config.registry import Table

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


def option_paths(name: str, *, of_plugins: bool) -> list[str]:
    """Return the dotted keys that end in a name, in the order of the tree.

    Args:
        name: of an option.
        of_plugins: look among the options of plug-ins too, which imports them all.
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
                options = table.options(plugin).model_fields
                yield from (f"{above}{name}.{option}" for option in options)


def find_default(path: KeyPath) -> str | None:
    """Return the name of the default plug-in at a path of the tree, if any."""
    model: Any = Config
    default = None
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return None
        model = next(iter(groups_in(field.annotation)), None)
        default = field.get_default(call_default_factory=True)
    return getattr(default, "name", None)


def table_in(field: FieldInfo) -> Table | None:
    """Return the table that a field is checked against; a list's may be that of its items."""
    items = get_args(field.annotation)
    nested = getattr(items[0], "__metadata__", ()) if items else ()
    return next((part for part in (*field.metadata, *nested) if isinstance(part, Table)), None)


def groups_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the groups of options in a type: itself, or those inside a list or a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [group for part in get_args(annotation) for group in groups_in(part)]


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
