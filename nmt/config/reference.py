"""`configs/reference.yaml`: every option with its help, its type and its default, from the code.

``python -m nmt.config.reference FILE`` writes it.
"""

import json
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nmt.config.base import Variants
from nmt.config.experiment import Config
from nmt.config.messages import BOUNDS, describe_bound
from nmt.config.option_paths import group_in, table_in
from nmt.config.registry import Table

WIDTH = 100
HEADER = """\
# Every option of a configuration, with its default; made from the code by `make reference`.
#
# A configuration of your own says only what differs (`run` and `data` must be there), and may start
# from another file with `extends: other.yaml`, relative to it. On the command line, key=value sets
# an option: `nmt train my.yaml training.batch_tokens=8000 model.attention.score=general`.
#
# A plug-in is a name with options of its own: `cell: {name: gru, fused: true}`; `cell: gru` is
# short for `{name: gru}`. Paths are relative to the folder that nmt is run in.
"""
_EXAMPLE = {
    "run": "runs/reference",
    "data": {
        part: {"source": f"data/{part}.de", "target": f"data/{part}.en"}
        for part in ("train", "valid", "test")
    },
}
_PLAIN = {
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
    NoneType: "null",
}


def reference() -> str:
    """The text of the reference; it is itself a configuration that loads."""
    config = Config.model_validate(_EXAMPLE)
    return HEADER + "\n".join(_group(Config, config.model_dump(mode="json"), 0)) + "\n"


def describe_type(annotation: Any, constraints: Iterable[Any] = ()) -> str:
    """What may be written for an option, in words."""
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
    """`Field(ge=1)` carries its bounds in a list of its own."""
    for part in getattr(constraint, "metadata", [constraint]):
        for name in BOUNDS:
            if (bound := getattr(part, name, None)) is not None:
                yield describe_bound(name, bound)


def _group(model: type[BaseModel], values: dict[str, Any], depth: int) -> Iterator[str]:
    """The options of a group, one after the other."""
    for key, field in model.model_fields.items():
        name = field.alias or key
        value = values[name]
        group = group_in(field.annotation)
        table = table_in(field)
        if depth == 0:
            yield ""
        yield from _comment(field.description or "", depth)
        if table is not None:
            yield from _choices(table, group, depth)
        if group is None:
            yield _option(name, value, field, depth)
        elif value is None:
            yield _line(f"{name}: null", depth)
            yield from _commented_out(group, depth)
        else:
            yield _line(f"{name}:", depth)
            # One corpus, or one metric, need not be a list.
            inner = value[0] if isinstance(value, list) else value
            yield from _group(group, inner, depth + 1)
            yield from _plug_in_options(group, inner, depth + 1)


def _option(name: str, value: Any, field: FieldInfo, depth: int) -> str:
    kind = describe_type(field.annotation, field.metadata)
    return _line(f"{name}: {json.dumps(value, ensure_ascii=False)}  # {kind}", depth)


def _plug_in_options(group: type[BaseModel], values: dict[str, Any], depth: int) -> Iterator[str]:
    """The options of the default plug-in; its choices were listed above it, with their help."""
    fields = {field.alias or key for key, field in group.model_fields.items()}
    for name in (key for key in values if key not in fields):
        yield _line(f"{name}: {json.dumps(values[name], ensure_ascii=False)}", depth)


def _commented_out(group: type[BaseModel], depth: int) -> Iterator[str]:
    for line in _group(group, group().model_dump(mode="json"), 0):
        if line:
            yield _line(f"#   {line}", depth)


def _choices(table: Table | Variants, shown: type[BaseModel] | None, depth: int) -> Iterator[str]:
    """The names to choose from, each with its options, but for the group that is shown in full."""
    for name in table.names():
        yield from _comment(f"- {name}: {table.summary(name)}", depth, indent="  ")
        options = table.options(name)
        fields = {} if options is shown else options.model_fields
        for key, field in fields.items():
            if key == "name":
                continue
            default = "required" if field.is_required() else json.dumps(field.default)
            kind = describe_type(field.annotation, field.metadata)
            text = f"{key}: {default} ({kind}) {field.description or ''}"
            yield from _comment(text, depth, indent="      ")


def _comment(text: str, depth: int, indent: str = "") -> list[str]:
    first = f"{'  ' * depth}# {indent}"
    rest = first + "    " if indent else first
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def _line(text: str, depth: int) -> str:
    return "  " * depth + text


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
