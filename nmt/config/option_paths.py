"""Paths in the tree of options: where a name is, and what is there by default."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nmt.config.base import Variants
from nmt.config.experiment import Config
from nmt.config.registry import Table
from nmt.config.tree import KeyPath


def option_paths(name: str) -> list[str]:
    """Return the dotted keys that end in a name, in the order of the tree; import no part."""
    keys = _walk(Config, "")
    return list(dict.fromkeys(key for key in keys if key.rpartition(".")[2] == name))


def find_default(path: KeyPath) -> str | None:
    """Return the name of the default plug-in at a path of the tree, if any."""
    model: Any = Config
    default = None
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return None
        model, default = group_in(field.annotation), field.get_default(call_default_factory=True)
    return getattr(default, "name", None)


def _walk(model: type[BaseModel], above: str) -> Iterator[str]:
    for key, field in model.model_fields.items():
        name = field.alias or key
        yield above + name
        if (group := group_in(field.annotation)) is not None:
            yield from _walk(group, f"{above}{name}.")
        if (table := table_in(field)) is not None:
            for plugin in table.names():
                options = table.options(plugin).model_fields
                yield from (f"{above}{name}.{option}" for option in options)


def table_in(field: FieldInfo) -> Table | Variants | None:
    """Return the table that a field is checked against; a list's may be that of its items."""
    items = get_args(field.annotation)
    nested = getattr(items[0], "__metadata__", ()) if items else ()
    return next(
        (part for part in (*field.metadata, *nested) if isinstance(part, Table | Variants)), None
    )


def group_in(annotation: Any) -> type[BaseModel] | None:
    """The group of options in a type: itself, or the first inside a list or a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(group_in, get_args(annotation))), None)
