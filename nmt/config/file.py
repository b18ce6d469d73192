"""Loading of a checked `Config` from a YAML file, `extends:` and ``key=value`` overrides.

YAML scalars are read as text (only null and empty values become None), and the declared type of an
option decides how to parse it. ``3e-4`` is a number if the option is a number, and ``no`` is a
language code if the option is text, unlike in YAML 1.1.
"""

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from nmt.config.experiment import CONFIG_VERSION, Config
from nmt.config.layers import Layer, Override, explain_first, find_origin, merge
from nmt.config.messages import blank_missing, parse_path
from nmt.config.registry import without_plugins
from nmt.config.tree import Tree
from nmt.config.versions import name_trained_score, upgrade
from nmt.core.errors import ConfigError, os_reason
from nmt.system.files import is_missing, read_regular
from nmt.system.plugins import allow

Yaml = dict[str, Any] | list[Any] | str | None

MAX_CONFIG_BYTES: Final = 500_000

_MOST_FILES: Final = 20  # in a chain of `extends:`
# Values of a document with aliases expanded: a few lines of aliases may stand for billions.
_MOST_VALUES: Final = 50_000
_MOST_LEVELS: Final = 50
NULL = "tag:yaml.org,2002:null"
MERGE = "tag:yaml.org,2002:merge"

_KINDS: Final[dict[type, str]] = {list: "list", dict: "mapping"}
# Hints by part of the parser's message.
_HINTS = {
    "mapping values are not allowed": "check the indentation, and the space after each ':'",
    "expected <block end>": "check the indentation",
    "could not find expected ':'": "check the space after each ':'",
    "expected ',' or": "check for an unclosed bracket",
    "'\\t' that cannot start": "indent with spaces, not tabs",
}


def load_config(
    path: str | Path,
    overrides: Sequence[str | Override] = (),
    options: Mapping[str, Any] | None = None,
    *,
    resume: bool = False,
    plugins: Sequence[str | Path | type] = (),
) -> Config:
    """Read a configuration.

    Args:
        path: a YAML file; its `extends:` names a base file, relative to it.
        overrides: ``key=value`` with dotted keys, as in ``model.attention.score=dot``; the value
            is YAML. An override must not set or replace what an earlier one has set.
        options: a tree of options from a program, applied last; a class, a `functools.partial` of
            one, or an object without further arguments may stand where a name may.
        resume: whether an earlier version may have started this run with the same options.
        plugins: files and modules of plug-ins from outside the package (see `allow`).

    Raises:
        ConfigError: one line with the file, the key, the bad value and the allowed values.
    """
    if plugins:
        allow(plugins)
    layers = [*_read_files(Path(path)), *map(_parse_override, overrides)]
    layers += [] if options is None else [Layer("options", dict(options))]
    tree = merge(layers) if len(layers) > 1 else layers[0].tree
    if resume:
        tree = name_trained_score(tree)
    try:
        with without_plugins():  # most errors are found before the slow import of torch
            Config.model_validate(tree)
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(explain_first(error, tree, layers)) from None


def dump_config(config: Config) -> str:
    """Return the configuration as YAML with every option; `load_config` reads it back."""
    return format_yaml(config.model_dump(mode="json"))


def inherited_from(path: str | Path, overrides: Sequence[str | Override], key: str) -> str | None:
    """Return the base file that an option is inherited from.

    Args:
        path: the configuration file.
        overrides: the overrides applied to it.
        key: dotted key of the option, as in ``data.train[1].source``.

    Returns:
        The name of a file in the chain of `extends:`; None if the file itself or an override sets
        the option, or nothing does.
    """
    files = _read_files(Path(path))
    origin = find_origin(parse_path(key), [*files, *map(_parse_override, overrides)])
    return origin.origin if origin in files[:-1] else None


def _read_files(path: Path, above: tuple[Path, ...] = ()) -> list[Layer]:
    """Read a file and its chain of base files; the most general comes first.

    Args:
        path: the file.
        above: the files that extend it, starting with the requested one.

    Raises:
        ConfigError: a file cannot be read, holds no options, has a later version, or extends
            itself.
    """
    extending = f"{above[-1]}: extends: {path}" if above else ""
    if extending and is_missing(path):
        raise ConfigError(
            f"{extending}: no such file; give its path relative to the file that extends it"
        )
    if len(above) == _MOST_FILES:
        raise ConfigError(
            f"{above[0]}: extends: chain of more than {_MOST_FILES} files; merge some of them"
        )
    tree, base = _read_file(path)
    if path.resolve() in (other.resolve() for other in above):
        raise ConfigError(f"{extending}: circular; remove one of the `extends`")
    extended = path.parent / os.path.expanduser(base) if base else None
    below = [] if extended is None else _read_files(extended, (*above, path))
    return [*below, Layer(str(path), tree)]


def _read_file(path: Path) -> tuple[Tree, str | None]:
    """Read the options of a file, and the name of its base file."""
    tree = read_yaml(path)
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        kind = _KINDS.get(type(tree), "string")
        raise ConfigError(
            f"{path}: must be a mapping (`key: value`), not a {kind}{blank_missing(tree)}"
        )
    base = tree.pop("extends", None)
    if base is not None and not isinstance(base, str):
        kind = _KINDS[type(base)]
        raise ConfigError(f"{path}: extends: must be one file name, not a {kind}")
    version = str(tree.get("version", CONFIG_VERSION))
    if version == "1":
        tree = upgrade(tree)
    elif version != str(CONFIG_VERSION):
        raise ConfigError(
            f"{path}: version {version} is not supported, only up to {CONFIG_VERSION}; use the "
            "version of nmt that it was written for, or adapt it to configs/reference.yaml"
        )
    return tree, base


def _parse_override(given: str | Override) -> Layer:
    """Parse an override.

    Raises:
        ConfigError: the key or the value is missing, or the value is not YAML.
    """
    override = Override(given) if isinstance(given, str) else given
    parts = override.key.split(".")
    _, separator, text = override.text.partition("=")
    if not separator or not all(parts):
        raise ConfigError(
            f"{override.origin}: must be key=value with a dotted key, "
            "as in model.attention.score=dot"
        )
    if not text.strip():
        raise ConfigError(
            f"{override.origin}: has no value; write null for nothing, and \"''\" (with both kinds "
            "of quotes) for an empty string"
        )
    value: Any = parse_yaml(text, override.origin)
    for part in reversed(parts):
        value = {part: value}
    return Layer(override.origin, value, tuple(parts), override.argument is not None)


# Resolve unquoted scalars only to null and merge keys; leave the rest as text.
_RESOLVERS: Final = {
    first: [(tag, pattern) for tag, pattern in rules if tag in {NULL, MERGE}]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _TextLoader(yaml.SafeLoader):
    """YAML loader that keeps scalars as text and refuses duplicate keys and huge documents."""

    yaml_implicit_resolvers = _RESOLVERS

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._num_levels = 0
        self._num_values = 0
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, and count its values; each alias counts those of its anchor again."""
        is_alias = self.check_event(yaml.AliasEvent)
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        if self._num_levels == _MOST_LEVELS:
            raise _Refused(f"line {line}: nested more than {_MOST_LEVELS} levels deep")
        before = self._num_values
        self._num_levels += 1
        node = super().compose_node(parent, index)
        self._num_levels -= 1
        assert node is not None
        if is_alias:
            if node not in self._sizes:
                raise _Refused(f"line {line}: an alias refers to its own parent")
            self._num_values += self._sizes[node]
        else:
            self._num_values += 1
            self._sizes[node] = self._num_values - before
        if self._num_values > _MOST_VALUES:
            raise _Refused(f"line {line}: more than {_MOST_VALUES:,} values with aliases expanded")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping; refuse duplicate keys and keys that are not plain text."""
        lines: dict[str, int] = {}
        for key_node, _ in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == NULL:
                raise _Refused(f"line {line}: a key must be a string")
            if key in lines:
                raise _Refused(f"line {line}: duplicate key {key!r} (first in line {lines[key]})")
            lines[key] = line
        return super().construct_mapping(node, deep)


class _Refused(Exception):
    """Valid YAML that this loader refuses."""


def read_yaml(path: Path) -> Yaml:
    """Read a small YAML file; neither its path nor its content is trusted.

    Raises:
        ConfigError: the file cannot be read, is not regular, is too large, or is not YAML.
    """
    try:
        text = read_regular(path, MAX_CONFIG_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        inside = path / "config.yaml"
        hint = f"; did you mean {inside}?" if inside.is_file() else ""
        raise ConfigError(f"{path}: is a folder, not a YAML file{hint}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        hint = "; give a YAML configuration" if error.errno == errno.EFBIG else ""
        raise ConfigError(f"{path}: cannot be read: {os_reason(error)}{hint}") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Yaml:
    """Parse YAML text; messages call its origin `name`.

    Raises:
        ConfigError: the text is not YAML, or has a duplicate key; names the line.
    """
    try:
        parsed: Yaml = yaml.load(text, _TextLoader)
        return parsed
    except _Refused as error:
        raise ConfigError(f"{name}: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        problem = error.problem or error.context or ""
        hint = next((f" ({hint})" for part, hint in _HINTS.items() if part in problem), "")
        raise ConfigError(f"{name}: {where}not YAML: {problem}{hint}") from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{name}: not YAML: {reason}") from None


def format_yaml(value: Yaml) -> str:
    """Return a value as YAML that `parse_yaml` reads back; keys keep their order."""
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1_000))
