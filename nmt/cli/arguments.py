"""CommandArguments of a command, declared as the fields of a frozen dataclass.

The type and the default of a field are the argument's own; the functions here add what the parser
needs beyond them. Help lists arguments in the order of the classes, the base classes first.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Final

from nmt.data.formats.lines import MAX_LINE_BYTES

_MOST_LINE_BYTES: Final = 10**12
_SETTINGS: Final = "settings"  # key in the metadata of a field: what `add_argument` is given
_NAMES: Final = "names"


@dataclass(frozen=True, kw_only=True)
class CommandArguments:
    """Base of all arguments.

    Attributes:
        TITLE: heading in the help for the arguments that the class itself declares.
    """

    TITLE: ClassVar[str]


def positional(metavar: str, help: str, **settings: Any) -> Any:
    """Declare a field for an argument without dashes."""
    return field(metadata={_SETTINGS: {"metavar": metavar, "help": help, **settings}})


def positionals(metavar: str, help: str) -> Any:
    """Declare a field for any number of arguments without dashes."""
    return positional(metavar, help, nargs="*", default=[])


def option(
    metavar: str | None, help: str, *names: str, default: Any = None, key: str = "", **settings: Any
) -> Any:
    """Declare a field for an option with a value, which may be given once.

    Args:
        metavar: stands for the value in the help.
        help: in the help.
        names: the flags; without any, the one that the field is named for.
        default: the value where it is not given.
        key: dotted key of the option of the configuration that it sets.
        settings: further arguments of `add_argument`.
    """
    settings = {"metavar": metavar, "help": help, "default": default, **settings}
    return field(default=default, metadata={_SETTINGS: settings, _NAMES: names, "key": key})


def path(help: str, *names: str, metavar: str = "FILE") -> Any:
    """Declare a field for an option that names a file."""
    return option(metavar, help, *names, type=Path)


def required_path(help: str, *names: str) -> Any:
    """Declare a field for an option that names a file and must be given."""
    settings = {"metavar": "FILE", "help": help, "type": Path, "required": True}
    return field(metadata={_SETTINGS: settings, _NAMES: names})


def output_path(help: str = "write here, not to stdout") -> Any:
    """Declare a field for -o."""
    return path(help, "-o", "--output")


def repeated(metavar: str, help: str, *names: str) -> Any:
    """Declare a field for an option that may be given several times."""
    settings = {"metavar": metavar, "help": help, "action": "append", "default": []}
    return field(default_factory=list, metadata={_SETTINGS: settings, _NAMES: names})


def flag(help: str, key: str = "") -> Any:
    """Declare a field for an option without a value."""
    settings = {"help": help, "action": "store_true"}
    return field(default=False, metadata={_SETTINGS: settings, _NAMES: (), "key": key})


def line_limit() -> Any:
    """Declare a field for --max-line-bytes, the limit for all text that the command reads."""
    return option(
        "N",
        "read a longer line as an empty one, with a warning "
        f"(default: {MAX_LINE_BYTES:,}; memory grows with it)",
        default=MAX_LINE_BYTES,
        type=whole_number(_MOST_LINE_BYTES),
    )


def whole_number(most: int) -> Callable[[str], int]:
    """Return a function for argparse that reads a whole number from 1 to `most`."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > len(str(most)) or not 1 <= int(text) <= most:
            from nmt.config.messages import show  # which imports pydantic

            raise argparse.ArgumentTypeError(
                f"must be a whole number from 1 to {most:,}, not {show(text)}"
            )
        return int(text)

    return read


def flag_of(declared: "Field[Any]") -> str:
    """Return the name of an option on the command line, the long one where it has two."""
    names: Sequence[str] = declared.metadata.get(_NAMES, ())
    return names[-1] if names else f"--{declared.name.replace('_', '-')}"


def add_arguments(parser: argparse.ArgumentParser, kind: type[CommandArguments]) -> None:
    """Add all arguments of a class to a parser; a field declared again keeps its first place."""
    remaining = {item.name: item for item in fields(kind)}
    groups: dict[str | None, argparse._ActionsContainer] = {None: parser}
    for base in reversed(kind.__mro__):
        title = vars(base).get("TITLE")
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        for name in vars(base).get("__annotations__", {}):
            item = remaining.pop(name, None)
            if item is None:
                continue
            settings = item.metadata[_SETTINGS]
            if _NAMES not in item.metadata:
                parser.add_argument(name, **settings)
            else:
                names = item.metadata[_NAMES] or (flag_of(item),)
                groups[title].add_argument(*names, dest=name, **settings)
