"""Write `configs/reference.yaml`: every option with its help, type and default, from the code.

python scripts/make_reference.py configs/reference.yaml
"""

import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nmt.config.experiment import Config
from nmt.config.messages import BOUNDS, describe_bound
from nmt.config.registry import PlugIn, table_in
from nmt.config.training import TrainingConfig
from nmt.config.tree import groups_in

WIDTH = 100
HEADER = """\
# Every option of a configuration, with its default; made from the code by `make reference`.
#
# Your own configuration only needs `run`, `data` and what differs from the defaults. With
# `extends: other.yaml` it builds on another file, whose path is relative to its own folder. On the
# command line, key=value sets an option: `nmt train my.yaml training.batch_tokens=8000`.
#
# A plug-in is a name with its own options: `cell: {name: gru, fused: true}`; `cell: gru` is short
# for `{name: gru}`. All other paths are relative to the folder that nmt is run in.
"""
_EXAMPLE = {
    "run": "runs/reference",
    "data": {
        part: {"source": f"data/{part}.de", "target": f"data/{part}.en"}
        for part in ("train", "valid", "test")
    },
}
_PLAIN = {
    PlugIn: "plug-ins",
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
    NoneType: "null",
}


def reference() -> str:
    """Return the text of the reference, which is itself a valid configuration."""
    values = Config.model_validate(_EXAMPLE).model_dump(mode="json")
    return HEADER + "".join(f"\n{option}\n" for option in _options(Config, values, WIDTH))


def describe_type(annotation: Any, constraints: Iterable[Any] = ()) -> str:
    """Describe in words the values that an option accepts."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return describe_type(arguments[0], [*arguments[1:], *constraints])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin is list:
        return f"list of {describe_type(arguments[0])}"
    if origin in (Union, UnionType):
        return " or ".join(map(describe_type, arguments))
    bounds = [text for constraint in constraints for text in _describe_bounds(constraint)]
    return ", ".join([_PLAIN.get(annotation, "group of options"), *bounds])


def _describe_bounds(constraint: Any) -> Iterator[str]:
    """Yield the bounds of a constraint; `Field(ge=1)` keeps them in its `metadata`."""
    for part in getattr(constraint, "metadata", [constraint]):
        for name in BOUNDS:
            if (bound := getattr(part, name, None)) is not None:
                yield describe_bound(name, bound)


def _options(model: type[BaseModel], values: dict[str, Any], width: int) -> Iterator[str]:
    """Yield the lines of each option of a group."""
    helps = option_helps(model)
    for key, field in model.model_fields.items():
        name = field.alias or key
        # Options that are left out unless they are set; a corpus format may have no name.
        if name in values or field.exclude_if is not None:
            value = values.get(name, field.default)
            lines = _option(name, value, field, helps.get(key, ""), width)
            yield "\n".join(lines)


def _option(name: str, value: Any, field: FieldInfo, text: str, width: int) -> Iterator[str]:
    groups, table = groups_in(field.annotation), table_in(field)
    group = groups[0] if groups else None
    yield from _comment(text, width)
    if table is not None:
        for plugin, kind in table.classes.items():
            if plugin in TrainingConfig.model_fields:  # a loss term with a key of its own
                continue
            yield from _choice(plugin, kind, width)
            yield from _options_in_short(table.options(plugin), option_helps(kind), width)
    if group is None or value == []:
        kind = describe_type(field.annotation, field.metadata)
        yield f"{name}: {_json(value)}  # {kind}"
    elif value is None:
        yield f"{name}: null"
        for option in _options(group, group().model_dump(mode="json"), WIDTH):
            yield textwrap.indent(option, "#   ")
    else:
        yield f"{name}:"
        # A single corpus or metric need not be written as a list.
        inner = value[0] if isinstance(value, list) else value
        own = {field.alias or key for key, field in group.model_fields.items()}
        # The options of the default plug-in are listed with their help above.
        plugged = [f"{key}: {_json(inner[key])}" for key in inner if key not in own]
        for option in [*_options(group, inner, width - 2), *plugged]:
            yield textwrap.indent(option, "  ")


def _choice(name: str, kind: type, width: int) -> list[str]:
    """Return the line of a plug-in that can be chosen by name."""
    summary = (inspect.getdoc(kind) or "").partition("\n")[0]
    return _comment(f"- {name}: {summary}", width, indent="  ")


def _options_in_short(options: type[BaseModel], helps: dict[str, str], width: int) -> Iterator[str]:
    """Yield the options of a choice, each with its default, its type and its help."""
    for key, field in options.model_fields.items():
        default, table = field.default, table_in(field)
        value = default.name if isinstance(default, PlugIn) else default
        shown = "required" if field.is_required() else json.dumps(value)
        kind = describe_type(field.annotation, field.metadata)
        kind = kind if table is None else " | ".join(table.names)
        yield from _comment(f"{key}: {shown} ({kind}) {helps[key]}", width, indent="      ")


def option_helps(owner: type) -> dict[str, str]:
    """Return the help of each option of a group or plug-in, from its docstring and its bases'.

    Bases are read up to the class with the constructor.
    """
    helps: dict[str, str] = {}
    for kind in owner.__mro__:
        helps = documented_names(kind) | helps
        if "__init__" in vars(kind):
            break
    return helps


def documented_names(kind: type) -> dict[str, str]:
    """Return the entries of the `Args:` or `Attributes:` section of a class, one line each."""
    docstring = inspect.cleandoc(kind.__doc__ or "")
    section = re.search(
        r"^(?:Args|Attributes):\n((?:[ \t]+.*(?:\n|$)|\n)+)", docstring, flags=re.MULTILINE
    )
    if section is None:
        return {}
    entries = re.split(r"^ {4}(?=\w+:)", section.group(1), flags=re.MULTILINE)[1:]
    pairs = (entry.partition(":") for entry in entries)
    return {name: " ".join(text.split()) for name, _, text in pairs}


def _comment(text: str, width: int, indent: str = "") -> list[str]:
    first, rest = f"# {indent}", f"# {indent}    " if indent else "# "
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
