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
    """Return the text of the reference, which is itself a configuration that loads."""
    values = Config.model_validate(_EXAMPLE).model_dump(mode="json")
    return HEADER + "".join(f"\n{option}\n" for option in _options(Config, values, WIDTH))


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


def _options(model: type[BaseModel], values: dict[str, Any], width: int) -> Iterator[str]:
    """Yield the lines of each option of a group."""
    for key, field in model.model_fields.items():
        name = field.alias or key
        yield "\n".join(_option(name, values[name], field, width))


def _option(name: str, value: Any, field: FieldInfo, width: int) -> Iterator[str]:
    group, table = group_in(field.annotation), table_in(field)
    yield from _comment(field.description or "", width)
    if table is not None:
        yield from _choices(table, group, width)
    if group is None:
        kind = describe_type(field.annotation, field.metadata)
        yield f"{name}: {_json(value)}  # {kind}"
    elif value is None:
        yield f"{name}: null"
        for option in _options(group, group().model_dump(mode="json"), WIDTH):
            yield textwrap.indent(option, "#   ")
    else:
        yield f"{name}:"
        # One corpus, or one metric, need not be a list.
        inner = value[0] if isinstance(value, list) else value
        own = {field.alias or key for key, field in group.model_fields.items()}
        # Those of the default plug-in were listed with their help above.
        plugged = [f"{key}: {_json(inner[key])}" for key in inner if key not in own]
        for option in [*_options(group, inner, width - 2), *plugged]:
            yield textwrap.indent(option, "  ")


def _choices(table: Table | Variants, shown: type[BaseModel] | None, width: int) -> Iterator[str]:
    """Yield the names to choose from, each with its options unless its group is shown in full."""
    for name in table.names():
        yield from _comment(f"- {name}: {table.summary(name)}", width, indent="  ")
        options = table.options(name)
        fields = {} if options is shown else options.model_fields
        for key, field in fields.items():
            if key != "name":
                default = "required" if field.is_required() else json.dumps(field.default)
                kind = describe_type(field.annotation, field.metadata)
                text = f"{key}: {default} ({kind}) {field.description or ''}"
                yield from _comment(text, width, indent="      ")


def _comment(text: str, width: int, indent: str = "") -> list[str]:
    first, rest = f"# {indent}", f"# {indent}    " if indent else "# "
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
