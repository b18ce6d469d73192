"""YAML to plain mappings, lists and texts.

Scalars stay text (only null and nothing become None); the declared type of an option says what a
text means. So ``3e-4`` is a number where a number is declared, and ``no`` is a language where a
text is, whatever YAML 1.1 makes of them.
"""

import errno
from pathlib import Path
from typing import Any, Final

import yaml

from nmt.core.errors import ConfigError, os_reason
from nmt.system.files import read_regular

Yaml = dict[str, Any] | list[Any] | str | None

MAX_CONFIG_BYTES: Final = 500_000
RUN_KEYS: Final = {"version", "run", "data", "tokenizer", "model", "training", "decoding"}
"""What the resolved configuration of any run has, and hardly any other tool's `config.yaml`."""

_MOST_VALUES: Final = 50_000
"""Values of a text, aliases written out: a few lines of aliases may stand for billions."""
_MOST_LEVELS: Final = 50
NULL = "tag:yaml.org,2002:null"
MERGE = "tag:yaml.org,2002:merge"

_HINTS = {
    "mapping values are not allowed": "is the line indented as its neighbours, and is there a "
    "blank behind the ':' here and in the line before?",
    "expected <block end>": "is the line indented as its neighbours?",
    "could not find expected ':'": "is there a blank behind each ':'?",
    "expected ',' or": "is a bracket not closed?",
    "'\\t' that cannot start": "indent with blanks, not with tabs",
}


def _resolvers() -> dict[str, list[tuple[str, Any]]]:
    """Of YAML's rules for what an unquoted scalar is: those for null and for merge keys."""
    return {
        first: [(tag, pattern) for tag, pattern in rules if tag in {NULL, MERGE}]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _TextLoader(yaml.SafeLoader):
    """Leaves scalars as text; refuses a key that comes twice, and more than a person writes."""

    yaml_implicit_resolvers = _resolvers()

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._num_levels = 0
        self._num_values = 0
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a value, and add up how many values it stands for.

        Where an alias refers to it, what is inside counts again.
        """
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
                raise _Refused(f"line {line}: an alias of what it is in")
            self._num_values += self._sizes[node]
        else:
            self._num_values += 1
            self._sizes[node] = self._num_values - before
        if self._num_values > _MOST_VALUES:
            raise _Refused(f"line {line}: more than {_MOST_VALUES:,} values, aliases written out")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys are texts, each there once."""
        lines: dict[str, int] = {}
        for key_node, _ in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == NULL:
                raise _Refused(f"line {line}: a key must be a plain text")
            if key in lines:
                raise _Refused(f"line {line}: {key!r} is there twice (first in line {lines[key]})")
            lines[key] = line
        return super().construct_mapping(node, deep)


class _Refused(Exception):
    """What we refuse that YAML allows."""


def read_yaml(path: Path) -> Yaml:
    """Read a small YAML file that a person or a stranger's file named.

    Raises:
        ConfigError: it cannot be read, is not a regular file, is too large, or is not YAML.
    """
    try:
        text = read_regular(path, MAX_CONFIG_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        inside = path / "config.yaml"
        hint = f"; of a run, give {inside}" if inside.is_file() else ""
        raise ConfigError(f"{path}: is a folder, not a YAML file{hint}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        hint = "; give a YAML configuration" if error.errno == errno.EFBIG else ""
        raise ConfigError(f"{path}: cannot be read: {os_reason(error)}{hint}") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> Yaml:
    """The contents of a YAML text; `name` is where it comes from, for messages.

    Raises:
        ConfigError: not YAML, or a key twice; with the line.
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
        raise ConfigError(f"{name}: {where}not YAML: {problem}{_hint(problem)}") from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{name}: not YAML: {reason}") from None


def _hint(problem: str) -> str:
    """What people do who get these messages of the parser."""
    for part, hint in _HINTS.items():
        if part in problem:
            return f" ({hint})"
    return ""


def format_yaml(value: Yaml) -> str:
    """YAML that `parse_yaml` reads back; keys keep their order."""
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1_000))
